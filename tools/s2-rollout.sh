#!/usr/bin/env bash
# Waits for a version of S2, and fails unless each version that its VirtualService sends traffic to has a ready pod.
# usage: tools/s2-rollout.sh NAMESPACE v1|v2 TIMEOUT
set -euo pipefail
# shellcheck source=tools/place.sh
. "$(dirname "$0")/place.sh"
namespace=$1 version=$2 timeout=$3
no_traffic="no traffic is sent to it, and what S2 answers is as before"

tools/rollout.sh "$namespace" "cmpt756s2-$version" "$timeout" || {
  tools/kubectl -n "$namespace" get pods -l "app=cmpt756s2,version=$version"
  echo "s2: cmpt756s2-$version is not ready: $no_traffic (log: make -f k8s.mak log-s2$version)" >&2
  exit 1
}
for subset in $(.venv/bin/python -m tools.check.subsets "cluster/s2-vs-$version.yaml"); do
  ready=$(tools/kubectl -n "$namespace" get deploy -l "app=cmpt756s2,version=$subset" \
    -o jsonpath='{.items[*].status.readyReplicas}')
  if [[ $ready != *[1-9]* ]]; then
    echo "s2: cluster/s2-vs-$version.yaml sends traffic to $subset, which has no ready pod: $no_traffic" >&2
    exit 1
  fi
done
