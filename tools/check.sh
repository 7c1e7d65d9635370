#!/usr/bin/env bash
# Refuses wrong manifests before anything is applied, with file, path and reason.
# usage: tools/check.sh FILE...
set -euo pipefail
cd "$(dirname "$0")/.."
for file in "$@"; do
  [ -f "$file" ] || { echo "check: there is no $file; there are: $(cd cluster && echo *.yaml)" >&2; exit 2; }
done
exec .venv/bin/python -m tools.check "$@"
