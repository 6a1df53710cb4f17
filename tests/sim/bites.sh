#!/bin/bash
# Breaks the decision and the shell on purpose, one patch at a time, in a copy of the tree, and plays schedules until the
# simulation notices. Exit 0 when every break was noticed by the invariant that is named beside it.
#   tests/sim/bites.sh [SCHEDULES]        20000 unless told otherwise
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
export SIM_SCHEDULES=${1:-20000} RUST_BACKTRACE=0
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
copy=$(mktemp -d) || exit 1
trap 'rm -rf "$copy"' EXIT
git ls-files -z | xargs -0 cp --parents -t "$copy" || exit 1
failed=0

bite() { # NAME INVARIANT FILE OLD NEW
  local name=$1 invariant=$2 file=$3 result
  cp "$file" "$copy/$file"
  OLD=$4 NEW=$5 perl -0pi -e '$n = s/\Q$ENV{OLD}\E/$ENV{NEW}/; END { exit !$n }' "$copy/$file" ||
    { echo "$name: the text to break is not in $file"; failed=1; return; }
  result=$(cd "$copy" && cargo test --quiet -p failover-sim --test sim no_schedule -- --nocapture 2>&1 | grep -a ' BROKEN ')
  cp "$file" "$copy/$file"
  if line=$(grep -a "^$invariant BROKEN" <<<"$result"); then
    echo "$name: $line"
  else
    echo "$name: NOT NOTICED by $invariant; $result"; failed=1
  fi
}

bite "changes as fast as it likes" bound src/decision/guard.rs 'if case.now >= until {' 'if true || case.now >= until {'
bite "overwrites what is nobody's" never_foreign src/decision/guard.rs 'if strangers.is_empty() {' 'if true {'
bite "publishes what is down" never_to_down src/decision/select.rs 'Verdict::Down => false,' 'Verdict::Down => true,'
bite "believes every write" messages src/decision/writing.rs \
  'if snapshot.holds(&work.swap.after) || (same_values && !untouched) {' 'if true || (same_values && !untouched) {'
bite "does not see that it is done" quiet src/decision/plan.rs 'if snapshot.holds(&after) {' 'if false {'
bite "never goes back" converged src/decision/select.rs \
  'Some(held) if best < held && failback_is_due' 'Some(held) if false && best < held && failback_is_due'
bite "forgets what it had begun" messages src/agent/restore.rs 'if options.dry {' 'if true {'
bite "takes a TTL for a change that happened" messages src/decision/writing.rs \
  'held == values(doubt.swap.after.iter()) && !untouched' 'held == values(doubt.swap.after.iter())'
exit $failed
