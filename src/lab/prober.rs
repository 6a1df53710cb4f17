//! The real prober, led to the stage: what a check would ask a target's own address is asked of its stand-in.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use super::facts::Book;
use super::stage::{Place, Stage};
use super::timeline::{Entry, Kind};
use crate::decision::{Outcome, Timings};
use crate::probe::{Check, Prober, Report, SystemProber};

/// See the module.
pub(super) struct StageProber {
    pub(super) inner: SystemProber,
    pub(super) stage: Arc<Stage>,
    pub(super) book: Book,
}

#[async_trait]
impl Prober for StageProber {
    async fn probe(&self, address: IpAddr, check: &Arc<Check>) -> Report {
        let Some(place) = self.stage.place(address, check) else {
            let outcome = Outcome::Unknown("nobody plays this address by this check".into());
            return Report { outcome, timings: Timings::default(), certificate: None };
        };
        let mut report = match place {
            Place::Listener { seat, check, .. } => self.inner.probe(seat.address().ip(), check).await,
            Place::Scripted(_) => scripted(address, place.is_alive()),
        };
        if let Place::Listener { seat, plays, .. } = place
            && let Outcome::Fail(reason) | Outcome::Unknown(reason) = &mut report.outcome
        {
            *reason = reason.replace(&seat.address().to_string(), &plays.to_string());
        }
        self.note(address, check, &report.outcome);
        report
    }

    fn forget(&self, address: IpAddr, check: &Arc<Check>) {
        if let Some(Place::Listener { seat, check, .. }) = self.stage.place(address, check) {
            self.inner.forget(seat.address().ip(), check);
        }
    }
}

impl StageProber {
    fn note(&self, address: IpAddr, check: &Arc<Check>, outcome: &Outcome) {
        let at = self.book.now();
        let passed = *outcome == Outcome::Pass;
        let mut facts = self.book.facts();
        let before = facts.passed.insert((address, Stage::key(check)), passed);
        let turned = before.is_some_and(|before| before != passed);
        let first = turned && facts.turns_told.insert(address);
        drop(facts);
        if passed && !first {
            return;
        }
        let mut words = match outcome {
            Outcome::Pass => format!("{address} passes again"),
            Outcome::Fail(reason) | Outcome::Unknown(reason) => {
                reason.strip_prefix("connecting: ").unwrap_or(reason).to_owned()
            }
        };
        if first && !passed {
            words = format!("first failure: {words}");
        }
        let mut entry = Entry::new(at, Kind::Probed, words);
        entry.minor = !first;
        self.book.tell(entry);
    }
}

fn scripted(address: IpAddr, alive: bool) -> Report {
    let fails = || Outcome::Fail(format!("the stage lets the program find {address} dead"));
    Report {
        outcome: if alive { Outcome::Pass } else { fails() },
        timings: Timings::default(),
        certificate: None,
    }
}
