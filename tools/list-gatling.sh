#!/usr/bin/env bash
# Lists the load that tools/gatling.sh started and that still runs.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source-path=SCRIPTDIR source=../gatling/runs.sh
source "$ROOT/gatling/runs.sh"

(($# == 0)) || fail "takes no arguments"
found=$(runs "")
if [[ -z $found ]]; then
  echo "No load runs."
else
  while IFS=$'\t' read -r pid sim users since place log; do
    printf '%-8s %-18s %5s  %-19s  %-21s  %s\n' "$pid" "$sim" "$users" "$since" "$place" "$log"
  done <<<$'PID\tSIM\tUSERS\tSINCE\tPLACE\tLOG\n'"$found"
fi
