//! What resolvers say and do not say, by a server that says what it is told.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use providers::DomainName;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::{HostNames, NoAddress, Resolvers};
use crate::clock::Clock;
use crate::decision::{Moment, Now};

/// Time that is set by hand.
#[derive(Default)]
struct Hands(Mutex<i64>);

impl Clock for Hands {
    fn now(&self) -> Now {
        let moment = Moment::from_micros(*self.0.lock().unwrap() * 1_000_000);
        Now { moment, wall: jiff::Timestamp::UNIX_EPOCH }
    }
}

/// A resolver that answers by this script; `None` is silence.
struct Fake {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    async fn start(script: impl Fn(&Name, RecordType, &mut Message) -> Option<()> + Send + 'static) -> Fake {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
                let question = Message::from_vec(&buffer[..length]).unwrap();
                let query = question.queries[0].clone();
                count.fetch_add(1, Ordering::SeqCst);
                let mut answer = Message::query();
                answer.metadata.id = question.metadata.id;
                answer.metadata.message_type = MessageType::Response;
                answer.metadata.recursion_desired = true;
                answer.metadata.recursion_available = true;
                answer.add_query(query.clone());
                if script(query.name(), query.query_type(), &mut answer).is_some() {
                    socket.send_to(&answer.to_vec().unwrap(), client).await.unwrap();
                }
            }
        });
        Fake { address, asked, task }
    }

    fn names(&self) -> (HostNames, Arc<Hands>) {
        let clock = Arc::new(Hands::default());
        (HostNames::new(Arc::clone(&clock) as Arc<dyn Clock>, Resolvers::Given(vec![self.address])), clock)
    }
}

fn record(owner: &Name, ttl: u32, kind: RecordType, data: &str) -> Record {
    Record::from_rdata(owner.clone(), ttl, RData::try_from_str(kind, data).unwrap())
}

fn soa() -> Record {
    let data = "ns.example.net. admin.example.net. 1 3600 600 86400 20";
    record(&Name::from_ascii("example.net.").unwrap(), 20, RecordType::SOA, data)
}

fn dr() -> DomainName {
    "dr.example.net".parse().unwrap()
}

fn denied(
    code: ResponseCode,
    with_soa: bool,
) -> impl Fn(&Name, RecordType, &mut Message) -> Option<()> + Send {
    move |_, _, answer| {
        answer.metadata.response_code = code;
        if with_soa {
            answer.add_authority(soa());
        }
        Some(())
    }
}

#[tokio::test]
async fn both_families_and_for_as_long_as_the_ttl() {
    let fake = Fake::start(|name, kind, answer| {
        let data = if kind == RecordType::A { "192.0.2.1" } else { "2001:db8::1" };
        answer.add_answer(record(name, 30, kind, data));
        Some(())
    })
    .await;
    let (names, clock) = fake.names();
    let expected: Vec<IpAddr> = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    let (one, two) = (dr(), dr());
    let (first, second) = tokio::join!(names.addresses(&one), names.addresses(&two));
    assert_eq!(first.unwrap().into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(second.unwrap().len(), 2);
    assert_eq!(fake.asked.load(Ordering::SeqCst), 2, "two who ask at once ask once: A and AAAA");
    *clock.0.lock().unwrap() = 29;
    names.addresses(&dr()).await.unwrap();
    assert_eq!(fake.asked.load(Ordering::SeqCst), 2);
    *clock.0.lock().unwrap() = 30;
    names.addresses(&dr()).await.unwrap();
    assert_eq!(fake.asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn one_family_is_enough_whatever_becomes_of_the_other() {
    for code in [ResponseCode::NoError, ResponseCode::ServFail] {
        let fake = Fake::start(move |name, kind, answer| {
            match kind {
                RecordType::A => drop(answer.add_answer(record(name, 0, kind, "192.0.2.1"))),
                _ => answer.metadata.response_code = code,
            }
            Some(())
        })
        .await;
        assert_eq!(fake.names().0.addresses(&dr()).await.unwrap().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_said_by_the_zone_that_knows() {
    for (code, words) in [
        (ResponseCode::NXDomain, "the host name dr.example.net does not exist (NXDOMAIN)"),
        (ResponseCode::NoError, "the host name dr.example.net has no address (neither A nor AAAA)"),
    ] {
        let fake = Fake::start(denied(code, true)).await;
        let (names, clock) = fake.names();
        assert_eq!(names.addresses(&dr()).await, Err(NoAddress::Nothing(words.into())));
        let asked = fake.asked.load(Ordering::SeqCst);
        *clock.0.lock().unwrap() = 19;
        names.addresses(&dr()).await.unwrap_err();
        assert_eq!(fake.asked.load(Ordering::SeqCst), asked, "remembered for the SOA's minimum");
        *clock.0.lock().unwrap() = 20;
        names.addresses(&dr()).await.unwrap_err();
        assert!(fake.asked.load(Ordering::SeqCst) > asked);
    }
}

#[tokio::test]
async fn a_resolver_that_denies_everything_is_not_believed() {
    let fake = Fake::start(denied(ResponseCode::NXDomain, false)).await;
    let outcome = fake.names().0.addresses(&dr()).await;
    assert!(
        matches!(&outcome, Err(NoAddress::NotKnown(why)) if why.contains("know no other name")),
        "{outcome:?}"
    );
    let knows_the_root = Fake::start(|name, kind, answer| {
        if name.is_root() && kind == RecordType::NS {
            answer.add_answer(record(name, 60, kind, "a.root-servers.net."));
        } else {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        Some(())
    })
    .await;
    let outcome = knows_the_root.names().0.addresses(&dr()).await;
    assert!(matches!(outcome, Err(NoAddress::Nothing(_))), "{outcome:?}");
}

#[tokio::test]
async fn an_alias_that_leads_nowhere_is_nothing_and_one_that_leads_somewhere_is_followed() {
    let fake = Fake::start(|name, _, answer| {
        answer.metadata.response_code = ResponseCode::NXDomain;
        answer.add_answer(record(name, 60, RecordType::CNAME, "gone.example.net."));
        answer.add_authority(soa());
        Some(())
    })
    .await;
    let outcome = fake.names().0.addresses(&dr()).await;
    assert!(matches!(outcome, Err(NoAddress::Nothing(_))), "{outcome:?}");
    let fake = Fake::start(|name, kind, answer| {
        let end = Name::from_ascii("a.example.net.").unwrap();
        answer.add_answer(record(name, 60, RecordType::CNAME, "a.example.net."));
        if kind == RecordType::A {
            answer.add_answer(record(&end, 60, kind, "192.0.2.1"));
        }
        Some(())
    })
    .await;
    assert_eq!(fake.names().0.addresses(&dr()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn trouble_of_the_resolver_is_not_known_and_not_remembered() {
    for code in [ResponseCode::ServFail, ResponseCode::Refused] {
        let fake = Fake::start(denied(code, false)).await;
        let (names, _) = fake.names();
        let outcome = names.addresses(&dr()).await;
        assert!(matches!(outcome, Err(NoAddress::NotKnown(_))), "{code}: {outcome:?}");
        let asked = fake.asked.load(Ordering::SeqCst);
        names.addresses(&dr()).await.unwrap_err();
        assert!(fake.asked.load(Ordering::SeqCst) > asked);
    }
    let silent = Fake::start(|_, _, _| None).await;
    let (names, _) = silent.names();
    let outcome = tokio::time::timeout(Duration::from_secs(20), names.addresses(&dr())).await.unwrap();
    assert!(matches!(outcome, Err(NoAddress::NotKnown(_))), "{outcome:?}");
}
