#!/bin/bash
# Breaks the decision on purpose and plays schedules until the simulation notices. All breaks stand in one program, each behind a
# number; the copy of the tree that they are made in is thrown away. Exit 0 when every break was noticed by the invariant that is
# named beside it, and the program without any passes.
#   tests/sim/bites.sh [SCHEDULES [NUMBER...]]        20000 unless told otherwise; all of them, or those of these numbers
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
export SIM_SCHEDULES=${1:-20000} RUST_BACKTRACE=0
# Of its own: the copy has the same crates as the tree, and each would take the other's program for its own.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/bites
copy=$(mktemp -d) || exit 1
trap 'rm -rf "$copy"' EXIT
git ls-files -z | xargs -0 cp --parents -t "$copy" || exit 1
failed=0 number=0 names=() invariants=()

bite() { # NAME INVARIANT
  number=$((number + 1)) names+=("$1") invariants+=("$2")
}

at() { # FILE OLD NEW, in which ON says whether this break is wanted
  NEW=${3//ON/crate::bite($number)} OLD=$2 perl -0pi -e '$n = s/\Q$ENV{OLD}\E/$ENV{NEW}/; END { exit !$n }' "$copy/src/$1" ||
    { echo "${names[-1]}: the text to break is not in $1"; failed=1; }
}

cat >>"$copy/tests/sim/fast/pure/lib.rs" <<'END'
/// Is this the break that is wanted?
pub fn bite(number: u32) -> bool {
    static WANTED: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *WANTED.get_or_init(|| std::env::var("BITE").ok().and_then(|text| text.parse().ok()).unwrap_or(0)) == number
}
END

bite "changes as fast as it likes" bound
at decision/guard.rs 'if case.now >= until {' 'if ON || case.now >= until {'
bite "overwrites what is nobody's" never_foreign
at decision/guard.rs 'if strangers.is_empty() {' 'if ON || strangers.is_empty() {'
bite "publishes what is down" never_to_down
at decision/select.rs 'Verdict::Unknown => serves(target),
        Verdict::Down => false,' 'Verdict::Unknown => serves(target),
        Verdict::Down => ON,'
at decision/select.rs '            Verdict::Down => false,' '            Verdict::Down => ON,'
at decision/select.rs 'Some(target) => Selection::Hold(Hold::Verifying { target }),
        None =>' 'Some(target) if !ON => Selection::Hold(Hold::Verifying { target }),
        _ =>'
at decision/guard.rs 'if verdict != Verdict::Up && !as_ordered {' 'if verdict != Verdict::Up && !as_ordered && !ON {'
bite "believes every write" messages
at decision/writing.rs 'match (holds || ours, untouched) {' 'match (ON || holds || ours, untouched) {'
bite "does not see that it is done" quiet
at decision/plan.rs 'if snapshot.holds(&after) {' 'if !ON && snapshot.holds(&after) {'
at decision/reconcile.rs '(snapshot.holds(&after), state.holds(&after))' '(snapshot.holds(&after), !ON && state.holds(&after))'
bite "never goes back" converged
at decision/select.rs 'Some(held) if best < held &&' 'Some(held) if !ON && best < held &&'
bite "forgets what it had begun" messages
at agent/restore.rs 'if options.dry {' 'if ON || options.dry {'
bite "takes a TTL for a change that happened" messages
at decision/writing.rs '(same_values && !is_of_ttl(doubt))' '(same_values && (ON || !is_of_ttl(doubt)))'
bite "does not stop at the penalty" bound
at decision/guard.rs 'penalty.suppressed_until(case.now, settings) else' 'penalty.suppressed_until(case.now, settings).filter(|_| !ON) else'
bite "writes though it is paused" orders
at decision/select.rs 'view.overrides.pause(view.now, &record.name) {' 'view.overrides.pause(view.now, &record.name).filter(|_| !ON) {'
bite "changes more records than it may" velocity
at decision/velocity.rs 'first + WINDOW.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX))' \
  'if ON { now } else { first + WINDOW.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX)) }'
# Several agents.
bite "does not count what others changed" bound
at decision/coordinate.rs '.map(|marker| marker.changed),' '.map(|marker| marker.changed).filter(|_| !ON),'
bite "believes the time in a marker that it saw come" bound
at decision/coordinate.rs 'let changed = if watched {' 'let changed = if watched && !ON {'
bite "builds on a marker that it cannot follow" marker
at decision/coordinate.rs 'next_generation(name, &seen, state.marker.as_ref())?;' \
  'match next_generation(name, &seen, state.marker.as_ref()) { Err(_) if ON => 1, next => next? };'
bite "follows a marker that was put back" marker
at decision/generation.rs 'if is_behind(marker, known) =>' 'if !ON && is_behind(marker, known) =>'
bite "leaves out a generation" chain
at decision/generation.rs '_ => Ok(marker.generation() + 1),' '_ => Ok(marker.generation() + 1 + u64::from(ON)),'

run() { # BITE
  (cd "$copy" && BITE=$1 cargo test --quiet -p failover-sim --test sim no_schedule -- --nocapture 2>&1)
}

[ $# -gt 0 ] && shift
result=$(run 0)
grep -aq 'test result: ok' <<<"$result" || { echo "unbroken, it does not pass: $result"; exit 1; }
[ $# -gt 0 ] || mapfile -t wanted < <(seq "$number")
[ $# -gt 0 ] && wanted=("$@")
for n in "${wanted[@]}"; do
  name=${names[n - 1]} invariant=${invariants[n - 1]}
  result=$(run "$n" | grep -a ' BROKEN ')
  if line=$(grep -a "^$invariant BROKEN" <<<"$result"); then
    echo "$name: $line"
  else
    echo "$name: NOT NOTICED by $invariant; $result"; failed=1
  fi
done
exit $failed
