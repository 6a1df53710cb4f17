//! The authoritative DNS server in front of the zones, by UDP and TCP on one port.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::{Edns, Header, HeaderCounts, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::DNSClass;
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};

use super::answer::{Answer, answer};
use super::state::State;
use super::zone::Zones;
use crate::{BuildError, Fault};

/// A TCP connection without a question ends after this.
const IDLE: Duration = Duration::from_secs(10);
/// Answers that may wait per TCP connection.
const PENDING_ANSWERS: usize = 32;
/// How often another port is tried when the one that TCP was given is taken for UDP.
const PORT_TRIES: u32 = 20;
/// What a UDP answer may have at most (the DNS flag day's number), in octets.
const UDP_PAYLOAD: u16 = 1232;
/// How long an orderly end may take.
const END: Duration = Duration::from_secs(1);

/// What an authoritative server of the mock answers from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsMode {
    /// The zones as they are.
    Live,
    /// The zones as they were when this mode was set: a secondary that lags behind.
    Lagging,
    /// It receives questions and never answers.
    Silent,
}

#[derive(Clone, Debug)]
enum View {
    Live,
    Frozen(Arc<Zones>),
    Silent,
}

/// One authoritative server of the mock. It ends when this is dropped.
pub struct DnsServer {
    address: SocketAddr,
    state: Arc<State>,
    view: Arc<Mutex<View>>,
    server: Server<Handler>,
}

impl std::fmt::Debug for DnsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DnsServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl DnsServer {
    pub(super) async fn listen(state: Arc<State>, address: SocketAddr) -> Result<Self, BuildError> {
        let (tcp, udp) = bind(address).await.map_err(|source| BuildError::Listen { address, source })?;
        let address = tcp.local_addr().map_err(|source| BuildError::Listen { address, source })?;
        let view = Arc::new(Mutex::new(View::Live));
        let mut server = Server::new(Handler { state: state.clone(), view: view.clone() });
        server.register_socket(udp);
        server.register_listener(tcp, IDLE, PENDING_ANSWERS);
        Ok(DnsServer { address, state, view, server })
    }

    /// Where it listens, by UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it answers from.
    ///
    /// # Errors
    /// When the zones cannot be read now; the mode then stays.
    pub fn set_mode(&self, mode: DnsMode) -> Result<(), Fault> {
        let view = match mode {
            DnsMode::Live => View::Live,
            DnsMode::Lagging => View::Frozen(Arc::new(self.state.zones()?)),
            DnsMode::Silent => View::Silent,
        };
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = view;
        Ok(())
    }

    /// Ends it and waits, a second at most, until its port is free.
    pub async fn shutdown(mut self) {
        // Its own tasks cannot fail in a way that anybody could act upon.
        let _ = tokio::time::timeout(END, self.server.shutdown_gracefully()).await;
    }
}

/// With port 0 the system chooses a port for TCP, which must be free for UDP as well.
async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, UdpSocket)> {
    let mut tries = 0;
    loop {
        let tcp = TcpListener::bind(address).await?;
        tries += 1;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((tcp, udp)),
            Err(_) if address.port() == 0 && tries < PORT_TRIES => {}
            Err(error) => return Err(error),
        }
    }
}

struct Handler {
    state: Arc<State>,
    view: Arc<Mutex<View>>,
}

impl Handler {
    /// The answer, or `None` for silence.
    async fn answer(&self, request: &Request) -> Option<Answer> {
        let bare = |code| Some(Answer { code, authoritative: false, answers: Vec::new(), soa: Vec::new() });
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let zones = match view {
            View::Silent => return None,
            View::Frozen(zones) => zones,
            View::Live => match self.state.look().await {
                Ok(zones) => Arc::new(zones),
                Err(_) => return bare(ResponseCode::ServFail),
            },
        };
        if request.metadata.op_code != OpCode::Query {
            return bare(ResponseCode::NotImp);
        }
        let [question] = request.queries.queries() else { return bare(ResponseCode::FormErr) };
        if question.query_class() != DNSClass::IN {
            return bare(ResponseCode::Refused);
        }
        Some(answer(&zones, question.original().name(), question.query_type()))
    }
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        let Some(answer) = self.answer(request).await else {
            return Header { metadata, counts: HeaderCounts::default() }.into();
        };
        metadata.authoritative = answer.authoritative;
        metadata.response_code = answer.code;
        let mut edns = Edns::new();
        edns.set_max_payload(request.max_payload().clamp(512, UDP_PAYLOAD));
        let mut builder = MessageResponseBuilder::from_message_request(request);
        if request.edns.is_some() {
            builder.edns(&edns);
        }
        let response = builder.build(metadata, &answer.answers, [], &answer.soa, []);
        // A reader that went away is no trouble of ours.
        response_handle
            .send_response(response)
            .await
            .unwrap_or_else(|_| Header { metadata, counts: HeaderCounts::default() }.into())
    }
}
