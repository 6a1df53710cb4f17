//! The zone's authoritative servers: they serve what the provider holds, or lag, freeze, lie, or say nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use failover::live::{LiveDns, LiveFault, Server};
use providers::mock::MockProvider;
use providers::{DomainName, RecordSet, RecordType};
use tokio::time::sleep;

type Sets = BTreeMap<RecordType, RecordSet>;

/// What a server does.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// It serves what the provider holds.
    Honest,
    /// It serves this, whatever the provider holds.
    Serves(Sets),
    /// It does not answer.
    Silent,
}

/// Two servers, `ns1` and `ns2`.
pub(crate) struct Nameservers {
    mock: MockProvider,
    manners: Mutex<BTreeMap<String, Manner>>,
    asked: Mutex<u64>,
}

impl Nameservers {
    pub(crate) fn of(mock: &MockProvider) -> Self {
        Nameservers { mock: mock.clone(), manners: Mutex::default(), asked: Mutex::default() }
    }

    pub(crate) fn set(&self, server: &str, manner: Manner) {
        self.manners.lock().unwrap().insert(server.into(), manner);
    }

    /// From now on the server serves what it serves now: a secondary whose transfers are broken.
    pub(crate) fn freeze(&self, server: &str, name: &DomainName) {
        self.set(server, Manner::Serves(self.mock.peek(name).unwrap().sets));
    }

    /// How many questions were asked.
    pub(crate) fn asked(&self) -> u64 {
        *self.asked.lock().unwrap()
    }
}

#[async_trait]
impl LiveDns for Nameservers {
    async fn servers(&self, _zone: &DomainName) -> Result<Vec<Server>, LiveFault> {
        let server = |number: u8| Server {
            name: format!("ns{number}.workshopco.ca"),
            address: ([192, 0, 2, 50 + number], 53).into(),
        };
        Ok(vec![server(1), server(2)])
    }

    async fn ask(&self, server: &Server, name: &DomainName) -> Result<Sets, LiveFault> {
        *self.asked.lock().unwrap() += 1;
        sleep(Duration::from_millis(2)).await;
        let short = server.name.split('.').next().unwrap_or_default();
        let manner = self.manners.lock().unwrap().get(short).cloned().unwrap_or(Manner::Honest);
        match manner {
            Manner::Honest => Ok(self.mock.peek(name).unwrap().sets),
            Manner::Serves(sets) => Ok(sets),
            Manner::Silent => Err(LiveFault::Silent(server.to_string(), "no answer within 3 s".into())),
        }
    }
}
