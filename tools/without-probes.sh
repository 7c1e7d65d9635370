#!/usr/bin/env bash
# Takes the probes out of a Deployment of one container: standard input to standard output.
set -euo pipefail
# shellcheck source=tools/place.sh
. "$(dirname "$0")/place.sh"
patch=$(printf '{"op": "remove", "path": "/spec/template/spec/containers/0/%s"},' startupProbe livenessProbe readinessProbe)
exec tools/kubectl patch --local -f - --type=json -p "[${patch%,}]" -o yaml
