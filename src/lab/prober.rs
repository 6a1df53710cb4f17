//! The real prober, led to the stage: what a check would ask a target's own address is asked of its stand-in.

use std::sync::Arc;

use async_trait::async_trait;

use super::cast::key;
use super::facts::Book;
use super::stage::{Player, Stage};
use super::timeline::{Entry, Kind};
use crate::decision::{Outcome, Place, Timings};
use crate::probe::{Check, Prober, Report, SystemProber};

/// See the module.
pub(super) struct StageProber {
    pub(super) inner: SystemProber,
    pub(super) stage: Arc<Stage>,
    pub(super) book: Book,
}

#[async_trait]
impl Prober for StageProber {
    async fn probe(&self, place: &Place, check: &Arc<Check>) -> Report {
        let Some(player) = self.stage.player(place, check) else {
            let outcome = Outcome::Unknown("nobody plays this place by this check".into());
            return Report { outcome, timings: Timings::default(), certificate: None };
        };
        let mut report = match player {
            Player::Listener { seat, check, .. } => {
                self.inner.probe(&Place::Address(seat.address().ip()), check).await
            }
            Player::Scripted(_) => scripted(place, player.is_alive()),
        };
        if let Player::Listener { seat, plays, .. } = player
            && let Outcome::Fail(reason) | Outcome::Unknown(reason) = &mut report.outcome
        {
            *reason = reason.replace(&seat.address().to_string(), plays);
        }
        self.note(place, check, &report.outcome);
        report
    }

    fn forget(&self, place: &Place, check: &Arc<Check>) {
        if let Some(Player::Listener { seat, check, .. }) = self.stage.player(place, check) {
            self.inner.forget(&Place::Address(seat.address().ip()), check);
        }
    }
}

impl StageProber {
    fn note(&self, place: &Place, check: &Arc<Check>, outcome: &Outcome) {
        let at = self.book.now();
        let passed = *outcome == Outcome::Pass;
        let mut facts = self.book.facts();
        let before = facts.passed.insert((place.clone(), key(check)), passed);
        let turned = before.is_some_and(|before| before != passed);
        let first = turned && facts.turns_told.insert(place.clone());
        drop(facts);
        if passed && !first {
            return;
        }
        let mut words = match outcome {
            Outcome::Pass => format!("{place} passes again"),
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

fn scripted(place: &Place, alive: bool) -> Report {
    let fails = || Outcome::Fail(format!("the stage lets the program find {place} dead"));
    Report {
        outcome: if alive { Outcome::Pass } else { fails() },
        timings: Timings::default(),
        certificate: None,
    }
}
