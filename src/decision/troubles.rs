//! Providers that cannot be used: told once, and once more when they work again.

use providers::Fault;

use super::{Decision, Effect, Event, EventKind, Moment, Now, ProviderId, Severity, human};

/// A provider that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) since: Moment,
    /// When it last failed. Many records of one batch fail at once, and that is one failure.
    last: Moment,
    /// Failures in a row.
    times: u32,
    told: bool,
}

impl Decision {
    /// A provider that fails is told once: at once where only a person can help, else at the second fault in a row.
    pub(super) fn provider_fault(
        &mut self,
        now: &Now,
        provider: &ProviderId,
        fault: &Fault,
        out: &mut Vec<Effect>,
    ) {
        let first = Trouble { since: now.moment, last: now.moment, times: 1, told: false };
        let trouble = self
            .troubles
            .entry(provider.clone())
            .and_modify(|trouble| {
                trouble.times += u32::from(now.moment > trouble.last);
                trouble.last = now.moment;
            })
            .or_insert(first);
        if trouble.told || (fault.is_transient() && trouble.times < 2) {
            return;
        }
        trouble.told = true;
        let needs_person = !fault.is_transient();
        let mut event = Event::new(
            EventKind::ProviderUnavailable,
            now.wall,
            format!("the DNS provider \"{provider}\" cannot be used: {fault}"),
        );
        event.severity = if needs_person { Severity::Critical } else { Severity::Warning };
        event.since = Some(now.wall_of(trouble.since));
        let next = if needs_person {
            "a person must put it right; the agent looks again every 30 s at most, and until then no record at this \
             provider can be changed"
        } else {
            "the agent keeps trying; until then no record at this provider can be changed"
        };
        event.next = Some(next.into());
        out.push(Effect::Say(Box::new(event), None));
    }

    pub(super) fn provider_works(&mut self, now: &Now, provider: &ProviderId, out: &mut Vec<Effect>) {
        let Some(trouble) = self.troubles.remove(provider) else { return };
        if trouble.told {
            let lasted = human(now.moment.since(trouble.since));
            let mut event = Event::new(
                EventKind::ProviderRecovered,
                now.wall,
                format!("the DNS provider \"{provider}\" works again after {lasted}"),
            );
            event.since = Some(now.wall_of(trouble.since));
            out.push(Effect::Say(Box::new(event), None));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::fixture::{at, policy};
    use super::super::{Options, Saved};
    use super::*;

    #[test]
    fn what_fails_at_once_has_failed_once_and_is_told_when_it_fails_again() {
        let now = |second| Now { moment: at(second), wall: jiff::Timestamp::UNIX_EPOCH };
        let mut decision =
            Decision::new(policy(), BTreeMap::new(), Options::default(), Saved::default(), &now(0));
        let mut told = |second, fault: &Fault| {
            let mut out = Vec::new();
            decision.provider_fault(&now(second), &"zone".into(), fault, &mut out);
            out.len()
        };
        let down = Fault::Unavailable("refused".into());
        assert_eq!([1, 1, 1, 2, 3].map(|second| told(second, &down)), [0, 0, 0, 1, 0]);
    }
}
