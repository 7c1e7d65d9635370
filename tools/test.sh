#!/usr/bin/env bash
# Runs every check and test, whatever fails on the way, and ends with one summary.
# usage: tools/test.sh [PYTEST ARGUMENT...]
set -uo pipefail
cd "$(dirname "$0")/.." || exit
pytest=(.venv/bin/python -m pytest -q "$@")
declare -a lines=()
failed=0

part() {
  local name=$1 start=$SECONDS result=ok
  shift
  printf '\n=== %s\n' "$name"
  "$@" || { result=FAILED; failed=1; }
  lines+=("$(printf '%-44s %-7s %4s s' "$name" "$result" $((SECONDS - start)))")
}

# The load's tests wait most of the time: they run beside the others and are reported when these are through.
load=$(mktemp)
trap 'rm -f "$load"' EXIT
"${pytest[@]}" tests/load >"$load" 2>&1 &
load_pid=$!
# shellcheck disable=SC2329 # called by name
load_result() {
  local code=0
  wait "$load_pid" || code=$?
  cat "$load"
  return "$code"
}

part "lint, types, shell (make lint)" tools/lint.sh
part "services (tests/unit)" "${pytest[@]}" tests/unit
part "definitions (tests/chart)" "${pytest[@]}" tests/chart
part "API server (tests/apiserver)" "${pytest[@]}" tests/apiserver
part "runner (tests/runner)" "${pytest[@]}" tests/runner
part "Istio's part (tests/istiod)" "${pytest[@]}" tests/istiod
part "load (tests/load)" load_result
part "the exercise on one machine (tests/local)" "${pytest[@]}" tests/local
if [ -n "${C756_TEST_CONTEXT:-}" ]; then
  part "the real cluster (tests/cluster)" "${pytest[@]}" tests/cluster
else
  lines+=("$(printf '%-44s %s' "the real cluster (tests/cluster)" "not asked for (make test-cluster)")")
fi

printf '\n=== Summary\n'
printf '%s\n' "${lines[@]}"
exit $failed
