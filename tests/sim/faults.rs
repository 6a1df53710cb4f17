//! Faults as they begin and end.

use failover::decision::Place;
use providers::{RecordSet, Ttl};

use crate::agent::{Doom, Fate};
use crate::cast::{FOREIGN, SECOND, Sets, sets_of};
use crate::disk::Mood;
use crate::plan::{Edit, Fault, Point};
use crate::provider::Mode;
use crate::world::{Happening, Host, World, note};

impl World {
    pub(crate) fn begin_fault(&mut self, index: usize) {
        if self.calm {
            return;
        }
        let (fault, until) = (self.plan[index].fault.clone(), self.plan[index].until);
        self.count(fault.kind());
        note!(self, "FAULT {fault:?}");
        match fault {
            Fault::Host { places, silent, flaps } => {
                for place in places {
                    self.hosts.insert(place, Host { down: true, silent, half: false });
                }
                if let Some(half_period) = flaps {
                    self.at(self.now + half_period, Happening::Toggle { fault: index, down: false });
                }
            }
            Fault::HalfHost { place } => self.hosts.get_mut(&place).unwrap().half = true,
            Fault::Net { agent, links, line } => {
                self.lines.extend(links.into_iter().map(|link| ((agent, link), line)));
            }
            Fault::OwnTrouble { agent } => {
                self.own_trouble.insert(agent);
            }
            Fault::Provider { vendor, mode } => self.providers[vendor].mode = mode,
            Fault::StaleReads { vendor, lag } => self.providers[vendor].lag = lag,
            Fault::SlowServers { vendor, by } => {
                let count = self.providers[vendor].behind.len();
                let server = self.rng.below(count);
                self.providers[vendor].behind[server] = by;
            }
            Fault::Clock { agent, by } => {
                self.agents[agent].wall_offset += by;
                self.court.stepped(agent);
            }
            Fault::Freeze { agent, point, skip, lasts } => {
                self.doom(agent, Doom { point, skip, fate: Fate::Freeze { lasts } });
            }
            Fault::Crash { agent, point, skip, down, disk_lost, asked } => {
                self.doom(agent, Doom { point, skip, fate: Fate::Crash { down, disk_lost, asked } });
            }
            Fault::Human { record, edit } => self.edit(&record, &edit),
            Fault::Chat { channel, mood } => {
                self.chats.insert(channel, mood);
            }
            Fault::Disk { agent, mood } => self.agents[agent].disk.mood = mood,
            Fault::Order { agent, what, cleared } => {
                let lasts = until - self.now + if cleared { 60 * SECOND } else { 0 };
                for agent in self.asked(agent) {
                    self.order(agent, &what, lasts);
                }
            }
            Fault::Marker { record, how } => self.spoil_marker(&record, how),
            Fault::Ack { agent, record } => {
                for agent in self.asked(agent) {
                    self.acknowledge(agent, &record);
                }
            }
        }
        self.at(until, Happening::End(index));
    }

    fn asked(&self, agent: Option<usize>) -> Vec<usize> {
        agent.map_or_else(|| (0..self.agents.len()).collect(), |one| vec![one])
    }

    fn doom(&mut self, agent: usize, doom: Doom) {
        if doom.point == Point::Now {
            self.meet(agent, doom.fate);
        } else {
            self.agents[agent].doom = Some(doom);
        }
    }

    pub(crate) fn doom_of(&mut self, agent: usize) -> Option<Doom> {
        let doom = self.agents[agent].doom.as_mut()?;
        if doom.skip > 0 {
            doom.skip -= 1;
            return None;
        }
        self.agents[agent].doom.take()
    }

    /// Whether the turn ends here.
    pub(crate) fn befalls(&mut self, agent: usize, doom: Option<Doom>, point: Point) -> bool {
        let Some(doom) = doom.filter(|doom| doom.point == point) else { return false };
        self.meet(agent, doom.fate)
    }

    pub(crate) fn meet(&mut self, agent: usize, fate: Fate) -> bool {
        match fate {
            Fate::Freeze { lasts } => {
                self.freeze(agent, lasts);
                false
            }
            Fate::Crash { down, disk_lost, asked } => {
                self.crash(agent, down, disk_lost, asked);
                true
            }
        }
    }

    pub(crate) fn end_fault(&mut self, index: usize) {
        match self.plan[index].fault.clone() {
            Fault::Host { places, .. } => {
                for place in places {
                    let host = self.hosts.get_mut(&place).unwrap();
                    host.down = false;
                }
            }
            Fault::HalfHost { place } => self.hosts.get_mut(&place).unwrap().half = false,
            Fault::Net { agent, links, .. } => {
                for link in links {
                    self.lines.remove(&(agent, link));
                }
            }
            Fault::OwnTrouble { agent } => {
                self.own_trouble.remove(&agent);
            }
            Fault::Provider { vendor, .. } => self.providers[vendor].mode = Mode::Well,
            Fault::StaleReads { vendor, .. } => self.providers[vendor].lag = 0,
            Fault::SlowServers { vendor, .. } => self.providers[vendor].behind.fill(0),
            Fault::Chat { channel, .. } => {
                self.chats.remove(&channel);
            }
            Fault::Disk { agent, .. } => self.agents[agent].disk.mood = Mood::Well,
            Fault::Order { agent, what, cleared: true } => {
                for agent in self.asked(agent) {
                    self.end_order(agent, &what.key());
                }
            }
            Fault::Marker { record, .. } => self.mend_marker(&record),
            Fault::Clock { .. }
            | Fault::Freeze { .. }
            | Fault::Crash { .. }
            | Fault::Human { .. }
            | Fault::Ack { .. }
            | Fault::Order { .. } => return,
        }
        note!(self, "over: {}", self.plan[index].fault.kind());
    }

    pub(crate) fn toggle(&mut self, fault: usize, down: bool) {
        let planned = self.plan[fault].clone();
        let Fault::Host { places, flaps: Some(half_period), .. } = planned.fault else { return };
        if self.calm || self.now >= planned.until {
            return;
        }
        for place in places {
            self.hosts.get_mut(&place).unwrap().down = down;
        }
        let next = self.now + half_period + self.rng.range(0, half_period / 8 + 1);
        self.at(next, Happening::Toggle { fault, down: !down });
    }

    fn edit(&mut self, record: &providers::DomainName, edit: &Edit) {
        let vendor = self.setup.vendor_of(record);
        let held = self.providers[vendor].truth(record).clone();
        let address = |text: &str| -> Place { text.parse().unwrap() };
        let sets: Sets = match edit {
            Edit::Target(number) => {
                let target = self.setup.policy.targets.values().nth(*number).unwrap();
                sets_of(&target.places, 60)
            }
            Edit::Foreign(number) => sets_of(&[address(FOREIGN[*number])], 60),
            Edit::Delete => Sets::new(),
            Edit::Cname => sets_of(&[address("elsewhere.example.net")], 60),
            Edit::Ttl => {
                let longer = |set: RecordSet| RecordSet { ttl: Ttl(3600), ..set };
                held.into_iter().map(|(kind, set)| (kind, longer(set))).collect()
            }
        };
        note!(self, "a person makes {record} {}", crate::provider::words(&sets));
        self.court.edited(record, self.now, &sets);
        self.providers[vendor].put(record, sets, self.now);
    }

    /// Everything works again, but for the hosts that stay down; and nobody is left dead or frozen.
    pub(crate) fn calm_down(&mut self) {
        note!(self, "faults are over");
        self.calm = true;
        self.lines.clear();
        self.own_trouble.clear();
        self.chats.clear();
        for provider in &mut self.providers {
            provider.mode = Mode::Well;
            provider.lag = 0;
            provider.behind.fill(0);
        }
        for agent in 0..self.agents.len() {
            self.agents[agent].disk.mood = Mood::Well;
            self.agents[agent].doom = None;
            if self.agents[agent].frozen_until.is_some() {
                let until = self.now;
                self.agents[agent].frozen_until = Some(until);
                self.thaw(agent, until);
            }
        }
        // What is down when the faults are over stays so, or comes back for good.
        let all_down = self.hosts.values().all(|host| host.down);
        let back = self.rng.percent(50) || (all_down && self.rng.percent(70));
        for host in self.hosts.values_mut() {
            host.half = false;
            host.down &= !back;
        }
        self.draw_standing();
        for agent in 0..self.agents.len() {
            self.settle_orders(agent);
        }
    }
}
