//! A TCP connection that an engine drives.
//!
//! Of system calls as few as can be: a connection that stands at once is not waited for; it is registered once, when it is
//! first waited for, and by closing it leaves the engine; nothing is tried of which the system has not said that it goes; and
//! a socket whose connection was reset is used again where it soon can be (`spares.rs`).

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

use super::reactor::{Reactor, Ready, Seat};
use super::spares::Spare;

/// See the module. Not to be sent to another thread.
#[derive(Debug)]
pub(in crate::probe) struct Socket {
    stream: TcpStream,
    peer: SocketAddr,
    options: Options,
    registration: Registration,
}

/// Where a socket is registered, once it is.
#[derive(Debug)]
struct Registration {
    reactor: Rc<Reactor>,
    seat: Option<Seat>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(seat) = self.seat {
            self.reactor.leave(seat);
        }
    }
}

/// What a socket was made for. Those with the same options can stand for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Options {
    Usual,
    Half,
    /// Only to hear when it breaks; a peer that is silent for so many seconds is asked.
    Idle(u32),
    /// Small writes are not held back.
    AtOnce,
}

impl Options {
    /// Of a socket that was just made.
    fn set(self, fd: &OwnedFd) -> rustix::io::Result<()> {
        match self {
            Options::Usual | Options::AtOnce => Ok(()),
            Options::Half => sockopt::set_socket_linger(fd, Some(Duration::ZERO)),
            Options::Idle(seconds) => {
                let silence = Duration::from_secs(seconds.into());
                sockopt::set_socket_keepalive(fd, true)?;
                sockopt::set_tcp_keepidle(fd, silence)?;
                sockopt::set_tcp_keepintvl(fd, silence)?;
                sockopt::set_tcp_keepcnt(fd, 2)?;
                // What it says is not listened to, and need not be stored.
                sockopt::set_socket_recv_buffer_size(fd, 4096)
            }
        }
    }

    /// Before each connection: the end of one resets it.
    #[cfg(target_os = "linux")]
    fn set_again(self, stream: &TcpStream) -> rustix::io::Result<()> {
        if self == Options::Half { sockopt::set_tcp_quickack(stream, false) } else { Ok(()) }
    }

    #[cfg(not(target_os = "linux"))]
    fn set_again(self, _: &TcpStream) -> rustix::io::Result<()> {
        Ok(())
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
        Socket::connect_with(peer, Options::Usual).await
    }

    /// Connects to `peer` as far as that its system agrees. Reset or dropped at once, it was never a connection to the program
    /// there.
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
        Socket::connect_with(peer, Options::Half).await
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
        let seconds = (silence + Duration::from_millis(999)).as_secs().max(1);
        Socket::connect_with(peer, Options::Idle(u32::try_from(seconds).unwrap_or(u32::MAX))).await
    }

    async fn connect_with(peer: SocketAddr, options: Options) -> io::Result<Socket> {
        let reactor = Reactor::here();
        let mut socket = match Socket::begin_again(&reactor, peer, options) {
            Some(socket) => socket,
            None => Socket::begin(reactor, peer, options)?,
        };
        if !socket.stands(Ready::default())? {
            poll_fn(|_| socket.poll_connected()).await?;
        } else if let Some(seat) = socket.registration.seat {
            socket.registration.reactor.has_room(seat);
        }
        Ok(socket)
    }

    /// Begins to connect by a new socket.
    fn begin(reactor: Rc<Reactor>, peer: SocketAddr, options: Options) -> io::Result<Socket> {
        let family = if peer.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let open = || rustix::net::socket_with(family, SocketType::STREAM, flags, None);
        let fd = match open() {
            Err(Errno::MFILE | Errno::NFILE) if reactor.most_spares(0) => open()?,
            opened => opened?,
        };
        options.set(&fd)?;
        let registration = Registration { reactor, seat: None };
        let socket = Socket { stream: TcpStream::from_std(fd.into()), peer, options, registration };
        socket.go()?;
        Ok(socket)
    }

    /// Begins to connect by a spare socket, if there is one. Whatever is wrong with that one is no news of the peer.
    fn begin_again(reactor: &Rc<Reactor>, peer: SocketAddr, options: Options) -> Option<Socket> {
        let Spare { stream, seat } = reactor.take_spare(&(peer, options))?;
        let registration = Registration { reactor: Rc::clone(reactor), seat };
        let socket = Socket { stream, peer, options, registration };
        socket.go().is_ok().then_some(socket)
    }

    fn go(&self) -> rustix::io::Result<()> {
        self.options.set_again(&self.stream)?;
        match rustix::net::connect(&self.stream, &self.peer) {
            Err(Errno::INPROGRESS | Errno::INTR) => Ok(()),
            begun => begun,
        }
    }

    /// Whether the connection stands. Where the way is short it does at once; that needs no registration then, no turn of the
    /// engine and no timer. Asked again, `connect(2)` tells how it is, whatever was heard of the socket before.
    #[cfg(target_os = "linux")]
    fn stands(&self, _: Ready) -> io::Result<bool> {
        match rustix::net::connect(&self.stream, &self.peer) {
            Ok(()) | Err(Errno::ISCONN) => Ok(true),
            Err(Errno::ALREADY | Errno::INPROGRESS | Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the connection stands, by what the system said of it.
    #[cfg(not(target_os = "linux"))]
    fn stands(&self, ready: Ready) -> io::Result<bool> {
        if ready.broken {
            return self.stream.take_error().and_then(|error| error.map_or(Ok(true), Err));
        }
        Ok(ready.write)
    }

    fn poll_connected(&mut self) -> Poll<io::Result<()>> {
        let seat = self.seat()?;
        let ready = self.registration.reactor.ready(seat);
        if !ready.write && !ready.broken {
            return Poll::Pending;
        }
        if self.stands(ready)? {
            return Poll::Ready(Ok(()));
        }
        // It was no news of this connection.
        self.registration.reactor.renew(seat);
        Poll::Pending
    }

    /// Waits until the peer has hung up, or the connection is no more.
    ///
    /// # Errors
    /// When the system cannot watch it.
    pub(in crate::probe) async fn until_ended(&mut self) -> io::Result<()> {
        poll_fn(|_| {
            let seat = self.seat()?;
            // A server may say something first: that is no end.
            if self.registration.reactor.ready(seat).ended { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }

    /// Where it is registered.
    fn seat(&mut self) -> io::Result<Seat> {
        if let Some(seat) = self.registration.seat {
            return Ok(seat);
        }
        let seat = self.registration.reactor.register(&mut self.stream)?;
        self.registration.seat = Some(seat);
        Ok(seat)
    }

    /// Small writes that follow each other go out at once (RFC 896's delay helps nobody here).
    pub(in crate::probe) fn send_at_once(&mut self) {
        self.options = Options::AtOnce;
        // Only a closed socket refuses the option, and then the first write says so.
        let _ = self.stream.set_nodelay(true);
    }

    /// Ends the connection by a reset: whoever probes often must not leave a port in TIME-WAIT for each probe. Only for a
    /// connection over which nothing more is to be said. The socket may be used again: see [`spares`](super::spares).
    pub(in crate::probe) fn reset(self) {
        let Socket { stream, peer, options, mut registration } = self;
        let is_spared = matches!(options, Options::Usual | Options::Half)
            && registration.reactor.wants_spare()
            && rustix::net::connect_unspec(&stream).is_ok();
        if is_spared {
            let seat = registration.seat.take();
            registration.reactor.keep_spare((peer, options), Spare { stream, seat });
        } else {
            // A socket that is closed already has nothing to reset.
            let _ = sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
        }
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
        if let Some(seat) = self.registration.seat
            && !self.registration.reactor.ready(seat).write
        {
            return Poll::Pending;
        }
        match again(|| write(&mut self.stream)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let seat = self.seat()?;
                self.registration.reactor.used_up(seat, false, true);
                Poll::Pending
            }
            Ok(written) if written < len => {
                let seat = self.seat()?;
                self.registration.reactor.used_up(seat, false, true);
                Poll::Ready(Ok(written))
            }
            written => Poll::Ready(written),
        }
    }

    fn poll_came(&mut self, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        // What is there already is told when it is registered.
        let seat = self.seat()?;
        if !self.registration.reactor.ready(seat).read {
            return Poll::Pending;
        }
        let room = buffer.remaining();
        match again(|| self.stream.read(buffer.initialize_unfilled())) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.registration.reactor.used_up(seat, true, false);
                Poll::Pending
            }
            // What was not all that there was room for was all that there is (epoll(7), question 9).
            Ok(read) if 0 < read && read < room => {
                self.registration.reactor.used_up(seat, true, false);
                Poll::Ready(Ok(read))
            }
            read => Poll::Ready(read),
        }
    }
}

#[cfg(test)]
impl std::os::fd::AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.stream.as_fd()
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
