#!/usr/bin/env bash
# Prints the content digest of a Deployment's image: that of its build, or, where the build log is gone, that of what runs.
# usage: tools/digest.sh LOG NAMESPACE DEPLOYMENT
set -euo pipefail
# shellcheck source=tools/place.sh
. "$(dirname "$0")/place.sh"
log=$1 namespace=$2 name=$3
if [ -s "$log" ]; then
  tail -n 1 "$log"
else
  tools/kubectl -n "$namespace" get deploy "$name" --ignore-not-found \
    -o jsonpath="{.spec.template.metadata.annotations['c756/image-digest']}" 2>/dev/null || true
fi
