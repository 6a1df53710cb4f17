//! Real servers for the tests of any crate of this workspace, on loopback, each in a folder of its own.
//!
//! | what | why |
//! |---|---|
//! | [`Bind`], [`Knot`], [`Pdns`] | DNS servers that take updates; started by `tests/servers/*.sh` |
//! | [`Backend`] | HTTP targets that can be made slow, broken or dead |
//! | [`Nginx`] | HTTP/2 and gRPC as they are spoken elsewhere |
//! | [`ChatSink`] | an HTTP server that records what it is sent |
//! | [`Hosts`] | two network namespaces with a wire between them that can be cut |
//! | [`Service`] | any program that listens on a port |
//! | [`FaultProxy`] | TCP between a client and a server, with faults |
//! | [`smoke`] | a fuzz target over its corpus |
//! | [`folder`] | a folder in memory, for an agent that is not to wait for a slow disk |
//! | [`freeze`], [`thaw`] | a process that stands still |
//! | [`ask`] | one question to one server, cache and resolver left out |
//!
//! Everything here blocks and panics with a reason: it is for tests only, and a test whose server does not
//! start has failed. A program that is not installed is such a failure and names its Debian package; no test is skipped.
//!
//! Whatever is started ends with the value that stands for it, also when the test panics and even when the
//! test process is killed: a guard process waits for the end of a pipe and then stops the server and removes its folder.
//! A server on the test's own runtime must not be asked from that runtime's only thread ([`ask`] blocks).

mod backend;
mod chat;
mod dns;
mod folder;
mod fuzz;
mod netns;
mod nginx;
mod ports;
mod process;
mod proxy;
mod schema;
mod script;
mod servers;
mod service;
mod wait;

pub use backend::{Backend, Mode};
pub use chat::{ChatSink, Received};
pub use dns::{Reply, ask, ask_over_tcp};
pub use folder::folder;
pub use fuzz::smoke;
pub use netns::Hosts;
pub use nginx::Nginx;
pub use ports::free_port;
pub use process::{freeze, thaw};
pub use proxy::FaultProxy;
pub use schema::assert_valid;
pub use servers::{Bind, DnsServer, Knot, Pdns, Tsig, ZONE};
pub use service::Service;
pub use wait::wait_until;
