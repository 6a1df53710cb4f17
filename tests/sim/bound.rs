//! How often records may change: `hold_down`, `flapping` and `velocity`.
//!
//! With `coordination: zone` the changes of all agents count together, as docs/coordination.md promises it: no old picture,
//! lost disk or late request is an excuse. What is: whoever came after a change knows its age by a clock alone, and a clock
//! that was stepped tells another; and an older marker that a person put back hides it. Without coordination each agent's own
//! changes count, as far as it can remember them, and none that another agent undid before it was proved.

use std::collections::BTreeSet;
use std::time::Duration;

use failover::decision::{Coordination, RecordPolicy, Velocity};
use providers::DomainName;

use crate::cast::{SECOND, seconds};
use crate::changes::{Applied, Applying};
use crate::court::Court;

impl Court {
    /// Two changes of a record are at least `hold_down` apart.
    pub(crate) fn not_too_soon(&mut self, write: &Applying<'_>) {
        let record = &write.setup.policy.records[write.work.swap.name()];
        let found = match record.coordination {
            Coordination::Zone => self.last_of_all(write),
            Coordination::None => self.last_of_its_own(write),
        };
        let Some((last, since)) = found else { return };
        let gap = write.decided - since;
        if gap < seconds(record.hold_down) {
            let text = format!(
                "{} was changed twice within {} ms (hold_down {:?}): {} by agent {} and {} by agent {}",
                record.name,
                gap / 1000,
                record.hold_down,
                last.work,
                last.agent,
                write.work.id,
                write.agent
            );
            self.accuse("bound", text);
        }
    }

    /// The change before this one, by whomever, and since when `hold_down` counts. Who watched saw it when it was there, or
    /// later; who came after it believes the time in its marker.
    fn last_of_all(&self, write: &Applying<'_>) -> Option<(&Applied, i64)> {
        let name = write.work.swap.name();
        let last = self.applied.iter().rev().find(|a| a.record == *name)?;
        if self.was_put_back(name, last.at) {
            return None;
        }
        if self.had_read(write.agent, name, last.at) {
            return Some((last, last.at));
        }
        let wrong = self.wrong_clocks.contains(&write.agent) || self.wrong_clocks.contains(&last.agent);
        (!wrong).then_some((last, last.decided))
    }

    /// Did a person put back an older marker, which hides a change from all who have not seen it yet?
    pub(crate) fn was_put_back(&self, record: &DomainName, since: i64) -> bool {
        self.put_back.iter().any(|(name, at)| name == record && *at >= since)
    }

    fn last_of_its_own(&self, write: &Applying<'_>) -> Option<(&Applied, i64)> {
        let name = write.work.swap.name();
        let own = |a: &&Applied| {
            a.record == *name && a.agent == write.agent && a.decided <= write.decided && !a.late
        };
        let last = self.applied.iter().rev().find(own)?;
        // A second attempt of one change, of which the first was believed lost, is no other change.
        let again = self.change_of(&last.work) == self.change_of(&write.work.id);
        let hidden = self.was_hidden(write.setup, last) && !self.was_proved(last);
        let excused = again || write.late || hidden;
        (!excused && !self.forgot(write.agent, last.decided)).then_some((last, last.decided))
    }

    fn forgot(&self, agent: usize, since: i64) -> bool {
        self.amnesia.iter().any(|(whose, at)| *whose == agent && *at >= since)
    }

    /// In no window are there more changes than the penalty lets through: see `docs/coordination.md`, "The bound".
    pub(crate) fn not_too_often(&mut self, write: &Applying<'_>) {
        let name = write.work.swap.name();
        let record = &write.setup.policy.records[name];
        let zone = record.coordination == Coordination::Zone;
        let count_of = |a: &&Applied| a.record == *name && (zone || (a.agent == write.agent && !a.late));
        let excused = |since: i64| match record.coordination {
            Coordination::Zone => !self.wrong_clocks.is_empty() || self.was_put_back(name, since),
            Coordination::None => {
                let hidden = |a: &Applied| self.was_hidden(write.setup, a) && !self.was_proved(a);
                let unproved = self.applied.iter().filter(count_of).any(hidden);
                write.late || unproved || self.forgot(write.agent, since)
            }
        };
        let mut changes = 1;
        for earlier in self.applied.iter().rev().filter(count_of) {
            changes += 1;
            let most = penalty_lets_through(record, write.decided - earlier.decided);
            if changes > most {
                let told = |since: i64| {
                    let by_us = |agent: usize| zone || agent == write.agent;
                    self.acknowledged
                        .iter()
                        .any(|(agent, record, at)| by_us(*agent) && record == name && *at >= since)
                };
                if excused(earlier.decided) || told(earlier.decided) {
                    return;
                }
                let window =
                    Duration::from_micros(u64::try_from(write.decided - earlier.decided).unwrap_or(0));
                let text =
                    format!("{name} was changed {changes} times in {window:?}, and {most} is the most");
                return self.accuse("bound", text);
            }
        }
    }

    /// Not more records of a provider are changed by one agent within a minute than `velocity` says.
    pub(crate) fn not_too_many(&mut self, write: &Applying<'_>) {
        let policy = &write.setup.policy;
        let name = write.work.swap.name();
        let provider = &policy.records[name].provider;
        let at_it = |record: &DomainName| policy.records[record].provider == *provider;
        let records = policy.records.keys().filter(|record| at_it(record)).count();
        let allowed = match policy.velocity.get(provider) {
            None => return,
            Some(Velocity::Records(count)) => usize::try_from(*count).unwrap(),
            Some(Velocity::Percent(share)) => (records * usize::from(*share)).div_ceil(100),
        };
        let since = write.decided - 60 * SECOND;
        let counts = |a: &&Applied| {
            a.agent == write.agent && a.decided > since && a.decided <= write.decided && at_it(&a.record)
        };
        let mut changed: BTreeSet<&DomainName> =
            self.applied.iter().filter(counts).map(|a| &a.record).collect();
        changed.insert(name);
        if changed.len() > allowed && !write.late && !self.forgot(write.agent, since) {
            let text = format!("{changed:?} were changed within a minute, and velocity is {allowed}");
            self.accuse("velocity", text);
        }
    }
}

fn penalty_lets_through(record: &RecordPolicy, window: i64) -> u64 {
    let flapping = &record.flapping;
    let ceiling = f64::from(flapping.suppress + 1000) / 1000.0;
    #[expect(clippy::cast_precision_loss, reason = "minutes, in microseconds")]
    let halvings = window as f64 / seconds(flapping.half_life) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few")]
    let most = (ceiling * (1.0 + std::f64::consts::LN_2 * halvings)) as u64;
    most
}
