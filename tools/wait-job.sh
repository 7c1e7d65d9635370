#!/usr/bin/env bash
# Waits until a Job has ended, prints its log, and fails if the Job did.
# usage: tools/wait-job.sh NAMESPACE JOB [SECONDS]
set -euo pipefail
# shellcheck source=tools/place.sh
. "$(dirname "$0")/place.sh"
namespace=$1 job=$2 deadline=$((SECONDS + ${3:-300}))

state() {
  tools/kubectl -n "$namespace" get job "$job" -o jsonpath='{.status.conditions[?(@.status=="True")].type}'
}
patience=20 # seconds for which the cluster may go on trying to start the pod
since=$SECONDS
until [[ $(state) =~ Complete|Failed ]]; do
  reasons=$(tools/stuck.sh "$namespace" "job-name=$job")
  if [ -z "$reasons" ]; then
    since=$SECONDS
  elif [ $((SECONDS - since)) -ge $patience ]; then
    printf 'wait: the pod of the Job %s cannot start:\n%s\n' "$job" "$reasons" >&2
    exit 1
  fi
  [ "$SECONDS" -lt "$deadline" ] || { echo "wait: the Job $job has not ended in time" >&2; exit 1; }
  sleep 0.5
done
tools/kubectl -n "$namespace" logs "job/$job" -c "$job" || true
[[ $(state) != *Failed* ]] || { echo "wait: the Job $job has failed" >&2; exit 1; }
