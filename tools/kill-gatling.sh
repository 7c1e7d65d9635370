#!/usr/bin/env bash
# Ends the load that tools/gatling.sh started: all of it, or that of one simulation.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source-path=SCRIPTDIR source=../gatling/runs.sh
source "$ROOT/gatling/runs.sh"

GRACE=10 # seconds between SIGTERM and SIGKILL

# signal NAME SIM: sends a signal to the process group of each run.
signal() {
  local pid
  runs "$2" | while read -r pid _; do
    kill -s "$1" -- "-$pid" 2>/dev/null || true
  done
}

# ended_within SECONDS SIM: waits until no run is left.
ended_within() {
  local deadline=$((SECONDS + $1))
  while [[ -n $(runs "$2") ]]; do
    ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}

(($# <= 1)) || fail "takes at most one argument, the name of a simulation"
[[ -z ${1-} ]] || check_simulation "$1"
sim=${1-}
found=$(runs "$sim")
if [[ -z $found ]]; then
  echo "No load${sim:+ of $sim} runs."
  exit
fi
signal TERM "$sim"
ended_within "$GRACE" "$sim" || signal KILL "$sim"
ended_within 5 "$sim" || fail "still running: $(runs "$sim" | cut -f 1 | paste -sd ' ')"
while IFS=$'\t' read -r pid name users _ _ log; do
  echo "Ended $name with $users user(s), pid $pid; its log is $log"
done <<<"$found"
