//! What people order (drain, pin, pause): handing it over, and whether it is obeyed.

use std::time::Duration;

use failover::decision::{Input, Motive, Order, Override, OverrideKey, Place, What, Work};

use providers::DomainName;

use crate::cast::{SECOND, Setup};
use crate::court::Court;
use crate::provider::snapshot_of;
use crate::sabotage::Sabotage;
use crate::world::{World, note};

impl World {
    /// A person orders this of an agent, for so long. Who does not run, or stands still, is not asked.
    pub(crate) fn order(&mut self, agent: usize, what: &What, lasts: i64) {
        if !self.listens(agent) {
            return;
        }
        note!(self, "a person orders {what} of agent {agent} for {} s", lasts / SECOND);
        let now = self.now_of(agent).moment;
        let until = now + Duration::from_micros(lasts.max(SECOND).try_into().unwrap());
        let order =
            Override::new(what.clone(), now, until, "a test of orders", "alice").expect("it is plain");
        let (key, epoch) = (order.key(), self.agents[agent].epoch);
        self.court.order_over(agent, &key);
        if self.sabotage != Sabotage::DeafToOrders {
            self.take(agent, vec![Input::Override(Order::Set(order))]);
        }
        // Whoever dies of it has not said yes, and may have kept it all the same; it may overrule any other.
        if self.agents[agent].epoch == epoch {
            self.court.ordered(agent, key, what.clone(), self.now + lasts.max(SECOND));
            self.after_order(agent);
        } else {
            self.court.forget_orders(agent);
        }
    }

    pub(crate) fn end_order(&mut self, agent: usize, key: &OverrideKey) {
        if !self.listens(agent) {
            return;
        }
        let now = self.now_of(agent).moment;
        if self.process(agent).decision.may_clear(now, key).is_err() {
            return;
        }
        note!(self, "a person ends {key} at agent {agent}");
        self.court.order_over(agent, key);
        let epoch = self.agents[agent].epoch;
        self.take(agent, vec![Input::Override(Order::Clear { key: key.clone(), by: "bob".into() })]);
        if self.agents[agent].epoch == epoch {
            self.after_order(agent);
        }
    }

    /// A person tells an agent that the record may be changed again.
    pub(crate) fn acknowledge(&mut self, agent: usize, record: &DomainName) {
        if !self.listens(agent) {
            return;
        }
        note!(self, "a person acknowledges {record} at agent {agent}");
        self.court.acknowledged(agent, record, self.now);
        let epoch = self.agents[agent].epoch;
        self.take(agent, vec![Input::Ack { record: record.clone() }]);
        if self.agents[agent].epoch == epoch {
            self.after_order(agent);
        }
    }

    fn listens(&self, agent: usize) -> bool {
        self.agents[agent].process.is_some() && self.agents[agent].frozen_until.is_none()
    }

    fn after_order(&mut self, agent: usize) {
        if self.agents[agent].process.is_some() {
            self.set_alarm(agent);
        }
    }

    /// Once the faults are over a person sees to it that every agent has the same orders: those that are to stand.
    pub(crate) fn settle_orders(&mut self, agent: usize) {
        let standing = self.standing.clone();
        let keys: Vec<OverrideKey> =
            self.all_keys().filter(|key| standing.iter().all(|w| w.key() != *key)).collect();
        for key in keys {
            self.end_order(agent, &key);
        }
        self.court.murky.remove(&agent);
        for what in standing {
            self.order(agent, &what, 24 * 3600 * SECOND);
        }
    }

    fn all_keys(&self) -> impl Iterator<Item = OverrideKey> {
        let policy = &self.setup.policy;
        let of_targets = policy.targets.keys().cloned().map(OverrideKey::Drain);
        let of_records = policy
            .records
            .keys()
            .flat_map(|name| [OverrideKey::Pin(name.clone()), OverrideKey::Pause(Some(name.clone()))]);
        of_targets.chain(of_records).chain([OverrideKey::Pause(None)])
    }

    /// What of a person's orders stands at the end.
    pub(crate) fn draw_standing(&mut self) {
        if self.plan.iter().any(|planned| matches!(planned.fault, crate::plan::Fault::Order { .. })) {
            let last =
                |planned: &&crate::plan::Planned| matches!(planned.fault, crate::plan::Fault::Order { .. });
            let last = self.plan.iter().rfind(last).map(|planned| planned.fault.clone());
            if let Some(crate::plan::Fault::Order { what, .. }) = last
                && self.rng.percent(50)
            {
                self.standing.push(what);
            }
        }
    }
}

impl Court {
    pub(crate) fn ordered(&mut self, agent: usize, key: OverrideKey, what: What, until: i64) {
        self.orders.insert((agent, key), (what, until));
    }

    pub(crate) fn acknowledged(&mut self, agent: usize, record: &DomainName, at: i64) {
        self.acknowledged.push((agent, record.clone(), at));
        // Generations go on from the marker that the person found right.
        if let Some(heard) = self.heard.get_mut(&agent) {
            heard.generations.remove(record);
        }
    }

    pub(crate) fn order_over(&mut self, agent: usize, key: &OverrideKey) {
        self.orders.remove(&(agent, key.clone()));
    }

    /// It may not know of them any more, or not how long they last.
    pub(crate) fn forget_orders(&mut self, agent: usize) {
        self.murky.insert(agent);
        self.orders.retain(|(whose, _), _| *whose != agent);
    }

    fn in_force(&self, agent: usize, now: i64, key: OverrideKey) -> Option<&What> {
        self.orders.get(&(agent, key)).filter(|(_, until)| now < *until).map(|(what, _)| what)
    }

    /// A paused record is not written, a pinned one only with its pin, and nobody is moved to a drained target.
    pub(crate) fn obeys(&mut self, agent: usize, now: i64, setup: &Setup, work: &Work) {
        let name = work.swap.name();
        let after = work.swap.after.iter().map(|set| (set.record_type(), set.clone())).collect();
        let after = Place::published(&snapshot_of(name, after));
        let before = Place::published(&work.swap.before);
        let paused = [None, Some(name.clone())];
        if paused.into_iter().any(|which| self.in_force(agent, now, OverrideKey::Pause(which)).is_some()) {
            return self.accuse("orders", format!("agent {agent} writes {name}, which is paused"));
        }
        if let Some(What::Pin { target, .. }) =
            self.in_force(agent, now, OverrideKey::Pin(name.clone())).cloned()
        {
            let places = &setup.policy.targets[&target].places;
            if !after.iter().all(|place| places.contains(place)) {
                self.accuse(
                    "orders",
                    format!("agent {agent} writes {after:?} to {name}, pinned to {target}"),
                );
            }
            return;
        }
        let added = |target: &failover::decision::TargetId| {
            let places = &setup.policy.targets[target].places;
            after.difference(&before).any(|place| places.contains(place))
        };
        let drained = setup.policy.records[name]
            .targets()
            .find(|t| added(t) && self.in_force(agent, now, OverrideKey::Drain((*t).clone())).is_some());
        // A pin of which it is not known whether it still stands is more than a drain.
        let counts = work.motive != Motive::AllDown && !self.murky.contains(&agent);
        if let Some(target) = drained.filter(|_| counts) {
            self.accuse("orders", format!("agent {agent} moves {name} to {target}, which is drained"));
        }
    }
}
