//! After a write: every authoritative server is asked until all of them serve the new answer.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use providers::{AnswerSets, DomainName, RecordSet, RecordType};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::{LiveDns, LiveFault, Server};
use crate::clock::Clock;
use crate::decision::Now;

/// How many questions are under way at the same time.
const AT_ONCE: usize = 32;
/// The pause before the second question to a server; each later one is half as long again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What was seen of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The server.
    pub server: Server,
    /// When it was first seen to serve the wish; `None` if it was not before the deadline.
    pub served_at: Option<Now>,
    /// Its last answer, or why there was none.
    pub last: Result<BTreeMap<RecordType, RecordSet>, LiveFault>,
}

/// Asks each of `servers` for `name` until it serves `wish`, at most until `deadline` has passed from now.
///
/// One result a server, in the order given. Each is asked at once, then after 100 ms, then after pauses that grow by
/// half to 2 s: `served_at` is late by at most half of the true time, by 2 s, and by the time of one question. A server
/// that served the wish is not asked again: what happens to it later is drift, and not seen here.
pub async fn watch(
    live: &dyn LiveDns,
    clock: &dyn Clock,
    servers: &[Server],
    name: &DomainName,
    wish: &AnswerSets,
    deadline: Duration,
) -> Vec<Watched> {
    let permits = Semaphore::new(AT_ONCE);
    let each = servers.iter().map(|server| async {
        let mut last = Err(LiveFault::Silent(server.to_string(), "not before the time was up".into()));
        let until_served = async {
            let mut pause = FIRST_PAUSE;
            loop {
                last = {
                    let _permit = permits.acquire().await.expect("this semaphore is never closed");
                    live.ask(server, name).await
                };
                if last.as_ref().is_ok_and(|answer| serves(answer, wish)) {
                    return clock.now();
                }
                sleep(pause).await;
                pause = (pause * 3 / 2).min(LONGEST_PAUSE);
            }
        };
        let served_at = timeout(deadline, until_served).await.ok();
        Watched { server: server.clone(), served_at, last }
    });
    join_all(each).await
}

/// Is `answer` the wish? The same types with the same values, nothing beside them, and no TTL above the wished one.
///
/// A TTL below it is fine: some servers count it down or cap it, and old answers only leave the caches sooner.
pub fn serves(answer: &BTreeMap<RecordType, RecordSet>, wish: &AnswerSets) -> bool {
    let same = |wished: &RecordSet| {
        answer
            .get(&wished.record_type())
            .is_some_and(|set| set.values == wished.values && set.ttl <= wished.ttl)
    };
    answer.len() == wish.iter().count() && wish.iter().all(same)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use providers::{NonEmpty, Ttl, Values};

    use super::*;
    use crate::clock::TokioClock;
    use crate::decision::Moment;

    type Answer = Result<BTreeMap<RecordType, RecordSet>, LiveFault>;

    /// Serves the old answer until `changes_at` has passed on its clock, by server; counts what it is asked.
    struct Scripted {
        clock: TokioClock,
        takes: Duration,
        script: fn(&Server, Duration) -> Answer,
        asked: Mutex<Vec<(String, Duration)>>,
        under_way: AtomicUsize,
        most: AtomicUsize,
    }

    impl Scripted {
        fn new(takes: Duration, script: fn(&Server, Duration) -> Answer) -> Self {
            Scripted {
                clock: TokioClock::start_at("2026-11-22T12:00:00Z".parse().expect("a time")),
                takes,
                script,
                asked: Mutex::default(),
                under_way: AtomicUsize::new(0),
                most: AtomicUsize::new(0),
            }
        }

        fn age(&self) -> Duration {
            self.clock.now().moment.since(Moment::ZERO)
        }

        async fn watch(&self, servers: &[Server], deadline: Duration) -> Vec<Watched> {
            let name = "www.example.test".parse().expect("a name");
            watch(self, &self.clock, servers, &name, &new(), deadline).await
        }
    }

    #[async_trait]
    impl LiveDns for Scripted {
        async fn servers(&self, _: &DomainName) -> Result<Vec<Server>, LiveFault> {
            Ok(Vec::new())
        }

        async fn ask(&self, server: &Server, _: &DomainName) -> Answer {
            let most = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(most, Ordering::Relaxed);
            self.asked.lock().expect("the lock").push((server.name.clone(), self.age()));
            sleep(self.takes).await;
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            (self.script)(server, self.age())
        }
    }

    fn a(ttl: u32, address: &str) -> RecordSet {
        RecordSet::new(Ttl(ttl), Values::A(NonEmpty::one(address.parse().expect("IPv4"))))
    }

    fn aaaa(address: &str) -> RecordSet {
        RecordSet::new(Ttl(60), Values::Aaaa(NonEmpty::one(address.parse().expect("IPv6"))))
    }

    fn map(sets: impl IntoIterator<Item = RecordSet>) -> BTreeMap<RecordType, RecordSet> {
        sets.into_iter().map(|set| (set.record_type(), set)).collect()
    }

    fn old() -> BTreeMap<RecordType, RecordSet> {
        map([a(60, "203.0.113.10")])
    }

    fn new() -> AnswerSets {
        AnswerSets::new([a(60, "198.51.100.5")]).expect("an answer")
    }

    fn served() -> BTreeMap<RecordType, RecordSet> {
        map(new().iter().cloned())
    }

    fn server(number: usize) -> Server {
        Server { name: format!("ns{number}"), address: ([192, 0, 2, 1], 53).into() }
    }

    fn millis(watched: &Watched) -> Option<u128> {
        watched.served_at.map(|now| now.moment.since(Moment::ZERO).as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn each_server_is_told_apart_by_when_it_changed() {
        let live = Scripted::new(Duration::from_millis(1), |server, age| match server.name.as_str() {
            "ns0" => Ok(served()),
            _ if age < Duration::from_secs(1) => Ok(old()),
            _ => Ok(served()),
        });
        let seen = live.watch(&[server(0), server(1)], Duration::from_secs(30)).await;
        assert_eq!(millis(&seen[0]), Some(1));
        let late = millis(&seen[1]).expect("served");
        assert!((1000..1500).contains(&late), "{late}");
        assert_eq!(seen[1].last, Ok(served()));
        let to_first = live.asked.lock().unwrap().iter().filter(|(name, _)| name == "ns0").count();
        assert_eq!(to_first, 1, "who serves the wish is left in peace");
        assert!(live.age() < Duration::from_millis(1500), "all serve it: no waiting for the deadline");
    }

    #[tokio::test(start_paused = true)]
    async fn one_dead_server_costs_the_deadline_and_hides_nothing() {
        let live = Scripted::new(Duration::from_millis(1), |server, _| match server.name.as_str() {
            "ns1" => Err(LiveFault::Silent("ns1".into(), "connection refused".into())),
            "ns2" => Ok(old()),
            _ => Ok(served()),
        });
        let seen = live.watch(&[server(0), server(1), server(2)], Duration::from_secs(20)).await;
        assert_eq!(live.age(), Duration::from_secs(20));
        assert_eq!(millis(&seen[0]), Some(1));
        assert_eq!(seen[1].served_at, None);
        assert_eq!(seen[1].last, Err(LiveFault::Silent("ns1".into(), "connection refused".into())));
        assert_eq!((seen[2].served_at, &seen[2].last), (None, &Ok(old())));
    }

    #[tokio::test(start_paused = true)]
    async fn the_questions_grow_rarer_to_one_in_two_seconds() {
        let live = Scripted::new(Duration::ZERO, |_, _| Ok(old()));
        live.watch(&[server(0)], Duration::from_mins(1)).await;
        let asked = live.asked.lock().unwrap();
        let pauses: Vec<Duration> =
            asked.windows(2).map(|pair| pair[1].1.checked_sub(pair[0].1).unwrap()).collect();
        assert!(pauses[0] < Duration::from_millis(110), "{:?}", pauses[0]);
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(2010)), "{pauses:?}");
        assert!(asked.len() < 40, "{} questions in a minute", asked.len());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_never_comes_is_cut_off_and_said() {
        let live = Scripted::new(Duration::from_hours(1), |_, _| Ok(served()));
        let seen = live.watch(&[server(0)], Duration::from_secs(5)).await;
        assert_eq!(live.age(), Duration::from_secs(5));
        assert!(matches!(&seen[0].last, Err(LiveFault::Silent(..))));
    }

    #[tokio::test(start_paused = true)]
    async fn many_servers_are_asked_32_at_a_time_and_none_is_forgotten() {
        let live = Scripted::new(Duration::from_millis(10), |_, _| Ok(served()));
        let servers: Vec<Server> = (0..100).map(server).collect();
        let seen = live.watch(&servers, Duration::from_secs(30)).await;
        assert_eq!(live.most.load(Ordering::Relaxed), 32);
        assert!(seen.iter().all(|watched| watched.served_at.is_some()));
        assert_eq!(seen.iter().map(|watched| watched.server.clone()).collect::<Vec<_>>(), servers);
    }

    #[test]
    fn serving_means_the_same_values_nothing_beside_and_no_longer_ttl() {
        assert!(serves(&served(), &new()));
        assert!(serves(&map([a(30, "198.51.100.5")]), &new()), "counted down");
        assert!(!serves(&map([a(61, "198.51.100.5")]), &new()), "the old TTL");
        assert!(!serves(&old(), &new()));
        assert!(!serves(&BTreeMap::new(), &new()));
        assert!(!serves(&map([a(60, "198.51.100.5"), aaaa("2001:db8::1")]), &new()), "the dead AAAA stays");
        let both = AnswerSets::new([a(60, "198.51.100.5"), aaaa("2001:db8::5")]).expect("an answer");
        assert!(!serves(&served(), &both), "half of it");
    }
}
