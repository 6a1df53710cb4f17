//! A TCP connection that an engine drives.
//!
//! Of system calls as few as can be: a connection that stands at once is not waited for; it is registered once, when it is
//! first waited for, and by closing it leaves the engine; nothing is tried of which the system has not said that it goes.

use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use mio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::reactor::{Reactor, Seat};

/// See the module. Not to be sent to another thread.
#[derive(Debug)]
pub(in crate::probe) struct Socket {
    stream: TcpStream,
    reactor: Rc<Reactor>,
    /// Once it is registered.
    seat: Option<Seat>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(seat) = self.seat {
            self.reactor.leave(seat);
        }
    }
}

impl Socket {
    /// Connects to `peer`.
    ///
    /// # Errors
    /// As `socket(2)` and `connect(2)` say.
    ///
    /// # Panics
    /// When it is not an engine that drives it.
    pub(in crate::probe) async fn connect(peer: SocketAddr) -> io::Result<Socket> {
        Socket::connect_with(peer, |_| Ok(())).await
    }

    /// Connects to `peer` as far as that its system agrees. Dropped at once, it was never a connection to the program there.
    ///
    /// Without a quick acknowledgement (`TCP_QUICKACK`, tcp(7)) the third packet of the handshake waits a moment, for data to go
    /// along with; closed without lingering the connection is reset, and the reset goes in its place.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Panics
    /// When it is not an engine that drives it.
    pub(in crate::probe) async fn connect_half(peer: SocketAddr) -> io::Result<Socket> {
        Socket::connect_with(peer, |fd| {
            #[cfg(target_os = "linux")]
            sockopt::set_tcp_quickack(fd, false)?;
            sockopt::set_socket_linger(fd, Some(Duration::ZERO))
        })
        .await
    }

    /// Connects to `peer` only to hear when the connection breaks: see [`until_ended`](Self::until_ended). That the peer's
    /// machine is gone is heard after three times `silence`, of a second at least: so the system asks it, twice.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Panics
    /// When it is not an engine that drives it.
    pub(in crate::probe) async fn connect_idle(peer: SocketAddr, silence: Duration) -> io::Result<Socket> {
        // The options are in whole seconds.
        let silence = Duration::from_secs((silence + Duration::from_millis(999)).as_secs().max(1));
        Socket::connect_with(peer, |fd| {
            sockopt::set_socket_keepalive(fd, true)?;
            sockopt::set_tcp_keepidle(fd, silence)?;
            sockopt::set_tcp_keepintvl(fd, silence)?;
            sockopt::set_tcp_keepcnt(fd, 2)?;
            // What it says is not listened to, and need not be stored.
            sockopt::set_socket_recv_buffer_size(fd, 4096)
        })
        .await
    }

    /// As [`connect`](Self::connect), with options that must be set before.
    async fn connect_with(
        peer: SocketAddr,
        set: impl FnOnce(&OwnedFd) -> rustix::io::Result<()>,
    ) -> io::Result<Socket> {
        let family = if peer.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd: OwnedFd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        set(&fd)?;
        let stands = match rustix::net::connect(&fd, &peer) {
            Ok(()) => true,
            Err(Errno::INPROGRESS | Errno::INTR) => false,
            Err(error) => return Err(error.into()),
        };
        let stream = TcpStream::from_std(fd.into());
        let mut socket = Socket { stream, reactor: Reactor::here(), seat: None };
        if !stands {
            poll_fn(|_| socket.poll_connected()).await?;
        }
        Ok(socket)
    }

    fn poll_connected(&mut self) -> Poll<io::Result<()>> {
        let seat = self.seat()?;
        let ready = self.reactor.ready(seat);
        if ready.broken {
            return Poll::Ready(self.stream.take_error().and_then(|error| error.map_or(Ok(()), Err)));
        }
        if ready.write { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Waits until the peer has hung up, or the connection is no more.
    ///
    /// # Errors
    /// When the system cannot watch it.
    pub(in crate::probe) async fn until_ended(&mut self) -> io::Result<()> {
        poll_fn(|_| {
            let seat = self.seat()?;
            // A server may say something first: that is no end.
            if self.reactor.ready(seat).ended { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }

    /// Where it is registered.
    fn seat(&mut self) -> io::Result<Seat> {
        if let Some(seat) = self.seat {
            return Ok(seat);
        }
        let seat = self.reactor.register(&mut self.stream)?;
        self.seat = Some(seat);
        Ok(seat)
    }

    /// Small writes that follow each other go out at once (RFC 896's delay helps nobody here).
    pub(in crate::probe) fn send_at_once(&self) {
        // Only a closed socket refuses the option, and then the first write says so.
        let _ = self.stream.set_nodelay(true);
    }

    /// Closing resets the connection: whoever probes often must not leave a port in TIME-WAIT for each probe. Only for
    /// a connection over which nothing more is to be said.
    pub(in crate::probe) fn reset_on_close(&self) {
        // A socket that is closed already has nothing to reset.
        let _ = sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
    }

    /// The end of the connection on this machine.
    pub(in crate::probe) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Writes, once there is room for it.
    fn poll_written(
        &mut self,
        len: usize,
        mut write: impl FnMut(&mut TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        // A connection has room for a question before anything was said on it.
        if let Some(seat) = self.seat
            && !self.reactor.ready(seat).write
        {
            return Poll::Pending;
        }
        match again(|| write(&mut self.stream)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let seat = self.seat()?;
                self.reactor.used_up(seat, false, true);
                Poll::Pending
            }
            Ok(written) if written < len => {
                let seat = self.seat()?;
                self.reactor.used_up(seat, false, true);
                Poll::Ready(Ok(written))
            }
            written => Poll::Ready(written),
        }
    }

    fn poll_came(&mut self, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        // What is there already is told when it is registered.
        let seat = self.seat()?;
        if !self.reactor.ready(seat).read {
            return Poll::Pending;
        }
        let room = buffer.remaining();
        match again(|| self.stream.read(buffer.initialize_unfilled())) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.reactor.used_up(seat, true, false);
                Poll::Pending
            }
            // What was not all that there was room for was all that there is (epoll(7), question 9).
            Ok(read) if 0 < read && read < room => {
                self.reactor.used_up(seat, true, false);
                Poll::Ready(Ok(read))
            }
            read => Poll::Ready(read),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(self.poll_came(buffer))?;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_written(bytes.len(), |stream| stream.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = parts.iter().map(|part| part.len()).sum();
        self.poll_written(len, |stream| stream.write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.shutdown(std::net::Shutdown::Write))
    }
}

/// Until it was not interrupted by a signal.
fn again<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
