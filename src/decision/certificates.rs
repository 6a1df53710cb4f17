//! Certificates that end soon: told once for each threshold of each certificate, whoever shows it.
//!
//! What is counted here are days of the wall clock, the one by which certificates end. The key of each event is made of
//! the certificate's fingerprint and the threshold, so that a restart tells nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{
    Certificate, Decision, Effect, Endpoint, Event, EventKind, Moment, Now, Observation, Severity, counted,
};

/// Days left at which a certificate is told of; none left is the last of them.
const DAYS: [u32; 5] = [21, 7, 3, 1, 0];
/// From so many days on it is critical.
const CRITICAL_DAYS: u32 = 1;
/// How long the first word waits for the other endpoints, so that one event names all that show the certificate.
const GATHER: Duration = Duration::from_mins(1);
/// What was told of certificates that nobody shows is remembered of so many: a pool may show two by turns.
const REMEMBERED: usize = 256;
/// How the keys of these events begin.
pub const CERTIFICATE_KEY: &str = "certificate-";
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// The certificates that were seen in this run.
#[derive(Clone, Debug, Default)]
pub(super) struct Certificates {
    /// What each endpoint showed last, and from how many days left on its check wants it to be told of.
    shown: BTreeMap<Endpoint, (Arc<Certificate>, Option<u32>)>,
    /// The tightest threshold that was told, by fingerprint.
    told: BTreeMap<String, u32>,
    /// Until when nothing is to be told of a certificate, by fingerprint: a whole site may show the same with each probe.
    calm_until: BTreeMap<String, Timestamp>,
    /// Since when the first certificate waits for the other endpoints.
    waiting_since: Option<Moment>,
    gathered: bool,
}

impl Certificates {
    /// Nothing seen yet; the keys of what earlier runs have told.
    pub(super) fn new(told: &BTreeSet<String>) -> Self {
        let mut certificates = Certificates::default();
        for (fingerprint, days) in told.iter().filter_map(|key| of_key(key)) {
            let tightest = certificates.told.entry(fingerprint.to_owned()).or_insert(days);
            *tightest = days.min(*tightest);
        }
        certificates
    }

    /// Forgets endpoints that are gone.
    pub(super) fn retain(&mut self, stays: impl Fn(&Endpoint) -> bool) {
        self.shown.retain(|endpoint, _| stays(endpoint));
        self.calm_until.clear();
    }

    /// Takes note of what an endpoint shows.
    fn note(&mut self, endpoint: &Endpoint, certificate: &Arc<Certificate>, days: Option<u32>) {
        let same =
            |(shown, before): &(Arc<Certificate>, Option<u32>)| shown == certificate && *before == days;
        if self.shown.get(endpoint).is_some_and(same) {
            return;
        }
        // What was shown before may be shown by nobody now.
        if let Some((before, _)) = self.shown.insert(endpoint.clone(), (Arc::clone(certificate), days)) {
            self.calm_until.remove(&before.fingerprint);
        }
        self.calm_until.remove(&certificate.fingerprint);
    }

    fn showing<'a>(&'a self, fingerprint: &'a str) -> impl Iterator<Item = &'a Endpoint> {
        let of = move |(_, (shown, _)): &(&Endpoint, &(Arc<Certificate>, Option<u32>))| {
            shown.fingerprint == fingerprint
        };
        self.shown.iter().filter(of).map(|(endpoint, _)| endpoint)
    }

    /// What is to be told of one certificate now, if anything: the tightest threshold that it has passed.
    fn due(&mut self, certificate: &Certificate, now: &Now) -> Option<(u32, Event)> {
        if self.calm_until.get(&certificate.fingerprint).is_some_and(|until| now.wall < *until) {
            return None;
        }
        let own = self.shown.values().filter(|(shown, _)| shown.fingerprint == certificate.fingerprint);
        let thresholds: BTreeSet<u32> = DAYS.into_iter().chain(own.filter_map(|(_, days)| *days)).collect();
        let left = seconds_left(certificate, now.wall);
        let ends = |days: u32| i64::from(days) * DAY_SECONDS;
        let next = thresholds.iter().rev().find(|days| ends(**days) < left);
        let next =
            next.map_or(i64::MAX, |days| certificate.not_after.as_second().saturating_sub(ends(*days)));
        let until = Timestamp::from_second(next).unwrap_or(Timestamp::MAX);
        self.calm_until.insert(certificate.fingerprint.clone(), until);
        let passed = thresholds.into_iter().find(|days| left <= ends(*days))?;
        if self.told.get(&certificate.fingerprint).is_some_and(|told| *told <= passed) {
            return None;
        }
        self.told.insert(certificate.fingerprint.clone(), passed);
        let event = event(certificate, passed, self.showing(&certificate.fingerprint), now);
        Some((passed, event))
    }

    fn forget_some(&mut self) {
        if self.told.len() > REMEMBERED {
            let shown: BTreeSet<&String> = self.shown.values().map(|(shown, _)| &shown.fingerprint).collect();
            self.told.retain(|fingerprint, _| shown.contains(fingerprint));
            self.calm_until.retain(|fingerprint, _| shown.contains(fingerprint));
        }
    }
}

impl Decision {
    /// Takes note of the certificate that a probe was shown, and tells of those that end soon.
    pub(super) fn saw_certificate(&mut self, now: &Now, observation: &Observation, out: &mut Vec<Effect>) {
        let endpoint = &observation.endpoint;
        if let Some(certificate) = &observation.certificate
            && self.targets.tracker(endpoint).is_some()
        {
            let check = self.policy.targets.get(&endpoint.target).and_then(|t| t.checks.get(&endpoint.check));
            let days = check.and_then(|check| check.min_tls_days);
            self.certificates.note(endpoint, certificate, days);
            self.certificates.waiting_since.get_or_insert(now.moment);
        }
        let Some(since) = self.certificates.waiting_since else { return };
        let due: Vec<Arc<Certificate>> = if self.certificates.gathered {
            observation.certificate.iter().cloned().collect()
        } else {
            if !self.targets.are_all_heard() && now.moment.since(since) < GATHER {
                return;
            }
            self.certificates.gathered = true;
            let all = self.certificates.shown.values().map(|(shown, _)| (shown.fingerprint.clone(), shown));
            all.collect::<BTreeMap<_, _>>().into_values().cloned().collect()
        };
        for certificate in due {
            if let Some((days, event)) = self.certificates.due(&certificate, now) {
                let key = format!("{CERTIFICATE_KEY}{}-{days}d", certificate.fingerprint);
                out.push(Effect::Say(Box::new(event), Some(key)));
                self.certificates.forget_some();
            }
        }
    }
}

/// The fingerprint and the threshold of a key.
fn of_key(key: &str) -> Option<(&str, u32)> {
    let (fingerprint, days) = key.strip_prefix(CERTIFICATE_KEY)?.rsplit_once('-')?;
    Some((fingerprint, days.strip_suffix('d')?.parse().ok()?))
}

fn seconds_left(certificate: &Certificate, wall: Timestamp) -> i64 {
    certificate.not_after.as_second().saturating_sub(wall.as_second())
}

fn event<'a>(
    certificate: &Certificate,
    days: u32,
    showing: impl Iterator<Item = &'a Endpoint>,
    now: &Now,
) -> Event {
    let showing: Vec<&Endpoint> = showing.collect();
    let left = seconds_left(certificate, now.wall);
    let names = &certificate.names;
    let when = match left {
        ..=0 => format!("ended {} ago", long(left.unsigned_abs())),
        _ => format!("ends in {}", long(left.unsigned_abs())),
    };
    let whose = showing.first().map_or_else(String::new, |first| format!(" that {} shows", first.target));
    let summary = format!("the certificate{whose} ({names}) {when}");
    let mut event = Event::new(EventKind::CertificateExpiring, now.wall, summary);
    if days <= CRITICAL_DAYS {
        event.severity = Severity::Critical;
    }
    event.target = showing.first().map(|first| first.target.clone());
    let until = certificate.not_after.strftime("%F %T UTC");
    let by = match &showing[..] {
        [] => String::new(),
        [one] => format!(", shown by {one}"),
        [first, ..] => format!(", shown by {} (first: {first})", counted(showing.len(), "endpoint")),
    };
    let short = certificate.fingerprint.get(..16).unwrap_or(&certificate.fingerprint);
    event.reason = Some(format!("it is good until {until}{by}; SHA-256 {short}..."));
    event.remedy = Some("renew it, and have the server load the new one".into());
    event
}

/// `6 days`, `23 h`, `12 min`.
fn long(seconds: u64) -> String {
    match seconds {
        172_800.. => counted(usize::try_from(seconds / 86_400).unwrap_or(usize::MAX), "day"),
        7_200.. => format!("{} h", seconds / 3_600),
        _ => format!("{} min", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{A4, A6, B4, at, observation, policy};
    use super::super::{Input, Options, Saved, TargetId};
    use super::*;

    const START: &str = "2026-11-22T12:00:00Z";

    fn now(second: i64) -> Now {
        let start: Timestamp = START.parse().unwrap();
        Now { moment: at(second), wall: start + Duration::from_secs(second.unsigned_abs()) }
    }

    fn certificate(fingerprint: &str, days: i64, seconds: i64) -> Arc<Certificate> {
        let start: Timestamp = START.parse().unwrap();
        let not_after = start + jiff::SignedDuration::from_secs(days * DAY_SECONDS + seconds);
        Arc::new(Certificate { fingerprint: fingerprint.into(), names: "www.example.com".into(), not_after })
    }

    fn decision() -> Decision {
        let mut decision =
            Decision::new(policy(), BTreeMap::new(), Options::default(), Saved::default(), &now(0));
        let _ = decision.start(&now(0));
        decision
    }

    /// The certificates told of by these probes: second, address, certificate.
    fn told(decision: &mut Decision, probes: &[(i64, &str, &Arc<Certificate>)]) -> Vec<(String, Event)> {
        let mut told = Vec::new();
        for (second, address, certificate) in probes {
            let mut seen = observation("web", address, (*second, *second), Some(true));
            seen.certificate = Some(Arc::clone(certificate));
            for effect in decision.handle(&now(*second), Input::Observed(seen)) {
                if let Effect::Say(event, Some(key)) = effect {
                    told.push((key, *event));
                }
            }
        }
        told
    }

    #[test]
    fn one_event_for_one_certificate_with_the_tightest_threshold() {
        let one = certificate("aa", 2, 100);
        let told = told(&mut decision(), &[(1, A4, &one), (1, A6, &one), (2, B4, &one), (11, A4, &one)]);
        let [(key, event)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(key, "certificate-aa-3d");
        assert_eq!(event.summary, "the certificate that a shows (www.example.com) ends in 2 days");
        assert_eq!((event.severity, event.target.clone()), (Severity::Warning, Some("a".into())));
        let reason = event.reason.as_deref().unwrap();
        assert!(reason.contains("shown by 3 endpoints (first: a (203.0.113.10) by web)"), "{reason}");
    }

    #[test]
    fn each_threshold_once_as_time_goes_by() {
        let mut decision = decision();
        let (one, far) = (certificate("aa", 21, 50), certificate("bb", 90, 0));
        let mut keys: Vec<String> = Vec::new();
        for day in 0..24 {
            let second = day * DAY_SECONDS + 100;
            let day = told(
                &mut decision,
                &[(second, A4, &one), (second, A6, &one), (second, B4, &far), (second + 5, A4, &one)],
            );
            keys.extend(day.into_iter().map(|(key, _)| key));
        }
        let days = [21, 7, 3, 1, 0].map(|days| format!("certificate-aa-{days}d"));
        assert_eq!(keys, days);
    }

    #[test]
    fn a_certificate_that_ended_is_critical_and_says_when() {
        let one = certificate("aa", 0, -7300);
        let told = told(&mut decision(), &[(1, A4, &one), (1, A6, &one), (2, B4, &one)]);
        assert_eq!(told[0].0, "certificate-aa-0d");
        assert_eq!(told[0].1.severity, Severity::Critical);
        assert!(told[0].1.summary.ends_with("ended 2 h ago"), "{}", told[0].1.summary);
    }

    #[test]
    fn what_an_earlier_run_told_is_not_told_again_and_what_is_tighter_is() {
        let told_before =
            |key: &str| Saved { certificates: BTreeSet::from([key.into()]), ..Saved::default() };
        let one = certificate("aa", 2, 0);
        for (key, expected) in [("certificate-aa-3d", 0), ("certificate-aa-7d", 1), ("certificate-bb-3d", 1)]
        {
            let saved = told_before(key);
            let mut decision = Decision::new(policy(), BTreeMap::new(), Options::default(), saved, &now(0));
            let _ = decision.start(&now(0));
            assert_eq!(
                told(&mut decision, &[(1, A4, &one), (1, A6, &one), (2, B4, &one)]).len(),
                expected,
                "{key}"
            );
        }
    }

    #[test]
    fn a_check_has_a_threshold_of_its_own() {
        let mut own = policy();
        for check in own.targets.get_mut(&"a".into()).unwrap().checks.values_mut() {
            check.min_tls_days = Some(30);
        }
        let mut decision = Decision::new(own, BTreeMap::new(), Options::default(), Saved::default(), &now(0));
        let _ = decision.start(&now(0));
        let (one, two) = (certificate("aa", 25, 0), certificate("bb", 25, 0));
        let told = told(&mut decision, &[(1, A4, &one), (1, A6, &one), (2, B4, &two)]);
        assert_eq!(told.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["certificate-aa-30d"]);
    }

    #[test]
    fn who_never_answers_holds_the_word_up_for_a_minute_only() {
        let mut decision = decision();
        let one = certificate("aa", 2, 0);
        assert_eq!(told(&mut decision, &[(1, A4, &one), (31, A4, &one)]), []);
        assert_eq!(told(&mut decision, &[(61, A4, &one)]).len(), 1);
        let two = certificate("bb", 2, 0);
        assert_eq!(told(&mut decision, &[(62, B4, &two)]).len(), 1, "from then on at once");
    }

    #[test]
    fn a_reload_forgets_what_endpoints_showed_that_are_gone() {
        let (mut decision, one) = (decision(), certificate("aa", 90, 0));
        assert_eq!(told(&mut decision, &[(1, A4, &one), (1, A6, &one), (1, B4, &one)]), []);
        let mut policy = policy();
        policy.targets.remove(&"b".into());
        policy.records.clear();
        let _ = decision.reconfigure(&now(2), policy, BTreeMap::new());
        let shown: Vec<&TargetId> =
            decision.certificates.shown.keys().map(|endpoint| &endpoint.target).collect();
        assert_eq!(shown, ["a", "a"].map(TargetId::from).iter().collect::<Vec<_>>());
    }

    /// A server that shows another certificate each time.
    #[test]
    fn so_many_are_remembered_and_then_those_that_somebody_shows() {
        let (mut decision, far) = (decision(), certificate("far", 90, 0));
        assert_eq!(told(&mut decision, &[(1, A4, &far), (1, A6, &far), (1, B4, &far)]), []);
        let number = |number: usize| certificate(&format!("{number}"), 2, 0);
        for turn in 0..REMEMBERED {
            assert_eq!(told(&mut decision, &[(2, A4, &number(turn))]).len(), 1, "{turn}");
        }
        assert_eq!(told(&mut decision, &[(3, A4, &number(0))]), [], "it was told");
        assert_eq!(decision.certificates.told.len(), REMEMBERED);
        assert_eq!(told(&mut decision, &[(4, A4, &number(REMEMBERED))]).len(), 1);
        assert_eq!(decision.certificates.told.len(), 1);
        assert_eq!(
            told(&mut decision, &[(5, A4, &number(REMEMBERED))]),
            [],
            "it is shown, so it is remembered"
        );
    }
}
