//! What is published when nothing works: `all_down`.

use providers::DomainName;

use super::select::{Current, Selection, View};
use super::{
    AllDown, Answer, Decision, Effect, Hold, Motive, Now, Place, RecordPolicy, TargetId, Verdict, Wish, say,
};

/// No target of the record is Up. Only when each is known to be Down (where there are witnesses, vouched for by one),
/// none is on its way back, and none is so by an earlier run's word alone, `all_down` is followed.
pub(super) fn nothing_up(view: &View<'_>, record: &RecordPolicy, current: Current<'_>) -> Selection {
    if !record.targets().all(|target| view.verdict(target) == Verdict::Down) {
        return Selection::Hold(Hold::NoneUp);
    }
    let Some(wish) = ordered(view, record) else { return Selection::Hold(Hold::AllDown) };
    if wish.answer.leads_to(current.places) {
        return Selection::Serve(wish);
    }
    if let Some(target) = record.targets().find(|target| view.targets.is_recovering(target)) {
        return Selection::Hold(Hold::Recovering { target: target.clone() });
    }
    let remembered = |target: &&TargetId| view.targets.is_remembered(target, |_| true);
    match record.targets().find(remembered) {
        Some(target) => Selection::Hold(Hold::Remembered { target: target.clone() }),
        None => Selection::Serve(wish),
    }
}

/// What `all_down` says; `None` to leave the record as it is. Several host names cannot stand together, so of those none
/// is published.
fn ordered(view: &View<'_>, record: &RecordPolicy) -> Option<Wish> {
    let targets: Vec<TargetId> = match &record.all_down {
        AllDown::Hold => return None,
        AllDown::ServeAll => record.targets().cloned().collect(),
        AllDown::Fallback(target) => vec![target.clone()],
    };
    let places: Vec<&Place> =
        targets.iter().filter_map(|target| view.policy.targets.get(target)).flat_map(|t| &t.places).collect();
    if places.len() > 1 && places.iter().any(|place| place.name().is_some()) {
        return None;
    }
    Some(Wish { answer: Answer::of(places)?, targets, motive: Motive::AllDown })
}

/// What such a wish does, for people.
pub(super) fn serves(wish: &Wish) -> String {
    let values: Vec<String> = wish.answer.places().iter().map(ToString::to_string).collect();
    let values = values.join(", ");
    match wish.targets.as_slice() {
        [one] => format!("it is left to {one} ({values})"),
        _ => format!("all of them are served ({values})"),
    }
}

impl Decision {
    /// Says once that nothing works, and what is done about it. Something that works again ends it.
    pub(super) fn tell_of_all_down(&mut self, now: &Now, name: &DomainName, out: &mut Vec<Effect>) {
        let record = self.record(name).clone();
        let state = self.state(name);
        let wish = state.wish.clone();
        if wish.as_ref().is_some_and(|wish| wish.motive != Motive::AllDown) {
            state.said.remove("all_down");
            return;
        }
        if !state.says_anew("all_down", "all_down") {
            return;
        }
        let snapshot = self.records.get(name).and_then(|state| state.snapshot.as_ref());
        let current = snapshot.map(|s| say::side(&self.policy, &record, s)).unwrap_or_default();
        let mut event = say::all_down(now, &record, &self.targets, current, wish.as_ref());
        self.say_what_holds(name, &mut event);
        event.incident = self.incident_of(name);
        out.push(Effect::Say(Box::new(event), None));
        out.push(Effect::KeepRecord(name.clone()));
    }
}
