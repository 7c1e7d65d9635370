#!/usr/bin/env bash
# Format and lint of Python and shell, and types of the packages.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
$bin/ruff format --check .
$bin/ruff check .
$bin/mypy
mapfile -t scripts < <(git ls-files -co --exclude-standard | xargs -r grep -lE '^#!.*\b(ba)?sh\b')
$bin/shellcheck -x "${scripts[@]}"
