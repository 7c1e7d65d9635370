#!/usr/bin/env bash
# Waits until a Deployment runs what was deployed. It ends early where the new pods cannot start.
# usage: tools/rollout.sh NAMESPACE DEPLOYMENT TIMEOUT
set -euo pipefail
# shellcheck source=tools/place.sh
. "$(dirname "$0")/place.sh"
namespace=$1 name=$2 timeout=$3
patience=20 # seconds for which the cluster may go on trying

labels=$(tools/kubectl -n "$namespace" get deploy "$name" \
  -o jsonpath='app={.spec.selector.matchLabels.app},version={.spec.selector.matchLabels.version}')
tools/kubectl -n "$namespace" rollout status "deploy/$name" --timeout="$timeout" &
waiting=$!
trap 'kill "$waiting" 2>/dev/null || true' EXIT
since=$SECONDS
while kill -0 "$waiting" 2>/dev/null; do
  sleep 1
  reasons=$(tools/stuck.sh "$namespace" "$labels" 2>/dev/null) || reasons=
  if [ -z "$reasons" ]; then
    since=$SECONDS
  elif [ $((SECONDS - since)) -ge $patience ]; then
    printf 'rollout: pods of %s cannot start:\n%s\n' "$name" "$reasons" >&2
    exit 1
  fi
done
trap - EXIT # its process number may be another's by now
wait "$waiting"
