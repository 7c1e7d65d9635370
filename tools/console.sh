#!/usr/bin/env bash
# Prints true where the console is deployed already, else false: an update of the chart keeps it.
set -euo pipefail
# shellcheck source=tools/place.sh
. "$(dirname "$0")/place.sh"
if tools/kubectl -n c756-console get deploy c756-console -o name >/dev/null 2>&1; then echo true; else echo false; fi
