//! A TCP connection that an engine drives.
//!
//! Of system calls as few as can be: a connection that stands at once, as on this machine, is not waited for; it is
//! registered when it is first waited for, and by closing it leaves the engine.

use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Token};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::reactor::Reactor;

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// See the module. Not to be sent to another thread.
#[derive(Debug)]
pub(in crate::probe) struct Socket {
    stream: TcpStream,
    reactor: Rc<Reactor>,
    /// Under whose name it is registered, and for what.
    registered: Option<(Token, Interest)>,
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
        let family = if peer.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd: OwnedFd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        let stands = match rustix::net::connect(&fd, &peer) {
            Ok(()) => true,
            Err(Errno::INPROGRESS | Errno::INTR) => false,
            Err(error) => return Err(error.into()),
        };
        let stream = TcpStream::from_std(fd.into());
        let mut socket = Socket { stream, reactor: Reactor::here(), registered: None };
        if !stands {
            poll_fn(|_| socket.poll_connected()).await?;
        }
        Ok(socket)
    }

    fn poll_connected(&mut self) -> Poll<io::Result<()>> {
        if self.registered.is_none() {
            return match self.register(BOTH) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            };
        }
        if let Err(error) = self.stream.take_error().and_then(|error| error.map_or(Ok(()), Err)) {
            return Poll::Ready(Err(error));
        }
        match self.stream.peer_addr() {
            Ok(_) => Poll::Ready(Ok(())),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
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

    fn register(&mut self, wanted: Interest) -> io::Result<()> {
        let token = self.reactor.driven();
        let registry = &self.reactor.registry;
        match self.registered {
            None => self.stream.register(registry, token, wanted)?,
            Some((of, interest)) => {
                let both = interest | wanted;
                if of == token && both == interest {
                    return Ok(());
                }
                self.stream.reregister(registry, token, both)?;
                self.registered = Some((token, both));
                return Ok(());
            }
        }
        self.registered = Some((token, wanted));
        Ok(())
    }

    /// What a call gave, or that it must be waited for.
    fn settle<T>(&mut self, result: io::Result<T>, wanted: Interest) -> Poll<io::Result<T>> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.register(wanted) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
            result => Poll::Ready(result),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Nobody answers before he was asked: the first reading waits, and what is there already is told at once when
        // it is registered.
        if self.registered.is_none() {
            return self.settle(Err(io::ErrorKind::WouldBlock.into()), Interest::READABLE);
        }
        let read = again(|| self.stream.read(buffer.initialize_unfilled()));
        self.settle(read, Interest::READABLE).map_ok(|read| buffer.advance(read))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = again(|| self.stream.write(bytes));
        self.settle(written, BOTH)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = again(|| self.stream.write_vectored(parts));
        self.settle(written, BOTH)
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
