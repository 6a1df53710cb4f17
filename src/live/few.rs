//! A bound on the questions under way.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use providers::{DomainName, RecordSet, RecordType};
use tokio::sync::Semaphore;

use super::{LiveDns, LiveFault, Server};

/// Asks of an agent under way: three sockets each, which is less than what is set aside for all that is no
/// probe. At a server 10 ms away that is 3,200 records a second.
pub const ASKS_AT_ONCE: usize = 32;
/// Servers that are remembered.
const MOST_SERVERS: usize = 1024;

/// Asks through another one, a few at a time: of ten thousand records that are looked at together the others wait.
///
/// Waiting would take hours where a server is dead and each ask its whole time limit. So those that waited while it left
/// an ask without any answer, and answered no other meanwhile, are told the same, without asking: what is known of their
/// record is as little as before, and the next look finds out more.
pub struct FewAtOnce {
    inner: Arc<dyn LiveDns>,
    turns: Semaphore,
    seen: Mutex<Seen>,
}

/// What happened at the servers, by a counter that every event moves.
#[derive(Default)]
struct Seen {
    now: u64,
    servers: BTreeMap<SocketAddr, Word>,
}

#[derive(Default)]
struct Word {
    /// When it last answered, whatever that was.
    answered: u64,
    /// When it was last found to be dead, and the words for it.
    silent: Option<(u64, LiveFault)>,
}

impl Seen {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    fn word(&mut self, server: SocketAddr) -> &mut Word {
        if self.servers.len() >= MOST_SERVERS && !self.servers.contains_key(&server) {
            self.servers.clear();
        }
        self.servers.entry(server).or_default()
    }

    fn heard(&mut self, server: SocketAddr, begun: u64, fault: Option<&LiveFault>) {
        let now = self.tick();
        let word = self.word(server);
        match fault {
            Some(fault @ LiveFault::Silent(..)) => {
                if word.answered < begun {
                    word.silent = Some((now, fault.clone()));
                }
            }
            _ => *word = Word { answered: now, silent: None },
        }
    }
}

impl FewAtOnce {
    /// At most so many asks at a time (one, if that is none).
    pub fn new(inner: Arc<dyn LiveDns>, asks: usize) -> Self {
        FewAtOnce { inner, turns: Semaphore::new(asks.max(1)), seen: Mutex::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl LiveDns for FewAtOnce {
    async fn servers(&self, zone: &DomainName) -> Result<Vec<Server>, LiveFault> {
        self.inner.servers(zone).await
    }

    async fn ask(
        &self,
        server: &Server,
        name: &DomainName,
    ) -> Result<BTreeMap<RecordType, RecordSet>, LiveFault> {
        let came = self.seen().tick();
        let _turn = self.turns.acquire().await.expect("this semaphore is never closed");
        let begun = {
            let mut seen = self.seen();
            if let Some((at, fault)) = &seen.word(server.address).silent
                && *at > came
            {
                return Err(fault.clone());
            }
            seen.tick()
        };
        let answer = self.inner.ask(server, name).await;
        self.seen().heard(server.address, begun, answer.as_ref().err());
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;
    use crate::clock::{Clock, TokioClock};
    use crate::decision::Moment;

    /// The server at port 1 answers within 10 ms, that at port 2 never, that at port 3 nothing for the first name.
    #[derive(Default)]
    struct Servers {
        asked: AtomicUsize,
        under_way: AtomicUsize,
        most: AtomicUsize,
    }

    #[async_trait]
    impl LiveDns for Servers {
        async fn servers(&self, _: &DomainName) -> Result<Vec<Server>, LiveFault> {
            Ok(Vec::new())
        }

        async fn ask(
            &self,
            server: &Server,
            name: &DomainName,
        ) -> Result<BTreeMap<RecordType, RecordSet>, LiveFault> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(under_way, Ordering::Relaxed);
            let dead = match server.address.port() {
                1 => false,
                2 => true,
                _ => name.to_string().starts_with("r0."),
            };
            sleep(if dead { Duration::from_secs(3) } else { Duration::from_millis(10) }).await;
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            let fault = || LiveFault::Silent(server.to_string(), "no answer".into());
            if dead { Err(fault()) } else { Ok(BTreeMap::new()) }
        }
    }

    /// A thousand names at once: how many got an answer, how many questions that took and how long, and how many were
    /// under way at most.
    async fn a_thousand(port: u16) -> (usize, usize, Duration, usize) {
        let servers = Arc::new(Servers::default());
        let few = FewAtOnce::new(servers.clone(), 64);
        let server = Server { name: "ns1".into(), address: ([127, 0, 0, 1], port).into() };
        let names: Vec<DomainName> =
            (0..1000).map(|n| format!("r{n}.example.test").parse().expect("a name")).collect();
        let clock = TokioClock::start_at(jiff::Timestamp::UNIX_EPOCH);
        let answers = join_all(names.iter().map(|name| few.ask(&server, name))).await;
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let answered = answers.iter().filter(|answer| answer.is_ok()).count();
        (answered, count(&servers.asked), clock.now().moment.since(Moment::ZERO), count(&servers.most))
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_waits_for_its_turn() {
        assert_eq!(a_thousand(1).await, (1000, 1000, Duration::from_millis(160), 64));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_server_holds_up_nobody_for_longer_than_one_question() {
        assert_eq!(a_thousand(2).await, (0, 64, Duration::from_secs(3), 64));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_gets_no_answer_speaks_for_no_other() {
        let (answered, asked, ..) = a_thousand(3).await;
        assert_eq!((answered, asked), (999, 1000));
    }
}
