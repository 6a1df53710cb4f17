//! Somebody who asks the DNS server all the time, as the world does: real questions over UDP, by code that shares
//! nothing with the agent's own.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};
use providers::DomainName;
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

use super::facts::{Addresses, Book, Run};
use super::timeline::{Entry, Kind};

/// The pause between two rounds of questions.
const PAUSE: Duration = Duration::from_millis(5);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Onlooker {
    socket: UdpSocket,
    book: Book,
}

impl Onlooker {
    /// One that asks this server.
    pub(super) async fn of(server: SocketAddr, book: Book) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        socket.connect(server).await?;
        Ok(Onlooker { socket, book })
    }

    /// Asks for these names until it is dropped.
    pub(super) async fn watch(self, names: Vec<DomainName>) {
        loop {
            for name in &names {
                self.look(name).await;
            }
            sleep(PAUSE).await;
        }
    }

    /// Asks for A, AAAA and A again. Where both A agree, nothing changed in between as far as anybody can tell, and
    /// the three are one answer; else the record changed just then, and the next look will tell. Of an alias the name
    /// it gives is the answer, and not where that leads.
    async fn look(&self, name: &DomainName) {
        let answers = async {
            let before = self.addresses(name, RecordType::A).await?;
            let six = self.addresses(name, RecordType::AAAA).await?;
            let after = self.addresses(name, RecordType::A).await?;
            Some((before == after).then(|| after.union(&six).cloned().collect::<Addresses>()))
        };
        match answers.await {
            Some(Some(answer)) => self.note(name, answer),
            Some(None) => {}
            None => self.book.facts().unanswered += 1,
        }
    }

    fn note(&self, name: &DomainName, answer: Addresses) {
        let at = self.book.now();
        let mut facts = self.book.facts();
        let runs = facts.runs.entry(name.clone()).or_default();
        if let Some(run) = runs.last_mut().filter(|run| run.answer == answer) {
            run.asked += 1;
            return;
        }
        let first = runs.is_empty();
        let words = shown(&answer);
        runs.push(Run { answer, first: at, asked: 1 });
        drop(facts);
        let mut entry = Entry::new(at, Kind::Served, format!("{name} answers {words}"));
        entry.record = Some(name.clone());
        entry.minor = first;
        self.book.tell(entry);
    }

    async fn addresses(&self, name: &DomainName, kind: RecordType) -> Option<Addresses> {
        let answers = self.answers(name, kind).await?;
        let data = |kind| {
            let of_name =
                |record: &&Record| record.name.to_string().parse().is_ok_and(|n: DomainName| n == *name);
            answers.iter().filter(move |record| record.record_type() == kind).filter(of_name)
        };
        let places = data(RecordType::CNAME).chain(data(kind));
        Some(places.filter_map(|record| record.data.to_string().parse().ok()).collect())
    }

    /// The data of the answer's records of this type; `None` without an answer, or with an error code in it.
    pub(super) async fn ask(&self, name: &DomainName, kind: RecordType) -> Option<BTreeSet<String>> {
        let answers = self.answers(name, kind).await?;
        let records = answers.iter().filter(|record| record.record_type() == kind);
        Some(records.map(|record| record.data.to_string()).collect())
    }

    async fn answers(&self, name: &DomainName, kind: RecordType) -> Option<Vec<Record>> {
        let mut question = Message::query();
        question.metadata.recursion_desired = false;
        question.add_query(Query::query(Name::from_ascii(name.fqdn()).ok()?, kind));
        self.socket.send(&question.to_vec().ok()?).await.ok()?;
        let answer = timeout(PATIENCE, self.answer_to(&question)).await.ok()??;
        match answer.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => Some(answer.answers),
            _ => None,
        }
    }

    async fn answer_to(&self, question: &Message) -> Option<Message> {
        let mut buffer = [0; 4096];
        loop {
            let length = self.socket.recv(&mut buffer).await.ok()?;
            // A late answer to an earlier question has another id.
            match Message::from_vec(&buffer[..length]) {
                Ok(answer) if answer.metadata.id == question.metadata.id => return Some(answer),
                _ => {}
            }
        }
    }
}

/// `203.0.113.10, 2001:db8::10`, or that there is nothing.
pub(super) fn shown(addresses: &Addresses) -> String {
    if addresses.is_empty() {
        return "nothing".into();
    }
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
