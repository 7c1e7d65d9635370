#!/usr/bin/env bash
# Installs what is missing to run the application on this machine; with --tests also what its tests need.
# Each step is skipped where its result is there already, so that a second run takes no time.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${C756_CACHE:-.cache}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

step() { printf '  %-58s' "$1"; SECONDS=0; }
done_() { printf 'ok (%s s)\n' "$SECONDS"; }
fail() { printf '\nsetup: %s\n' "$1" >&2; exit 1; }

# run LOG COMMAND...: the output goes to a log, of which the end is shown where the command fails.
run() {
  local log=$cache/setup-$1.log
  shift
  "$@" >"$log" 2>&1 || { printf 'failed\n%s\n' "$(tail -n 15 "$log")" >&2; fail "'$*' failed; all it said: $log"; }
}

# need PACKAGE REASON: installs a Debian package, or says which one is missing.
need() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    fail "$2: install the package '$1' (Debian: sudo apt-get install $1) and start again"
  fi
  step "installing $1"
  if [ ! -e "$cache/apt-updated" ]; then run apt apt-get update && touch "$cache/apt-updated"; fi
  run apt env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1"
  done_
}

# stamp NAME FILE...: true where NAME was made from just these files.
stamp() { [ "$(cat "$cache/$1.stamp" 2>/dev/null)" = "$(cat "${@:2}" | sha256sum)" ]; }
set_stamp() { cat "${@:2}" | sha256sum >"$cache/$1.stamp"; }

# --- Python --------------------------------------------------------------------------------------------
python=${PYTHON:-python3}
command -v "$python" >/dev/null || need python3 "Python is missing"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$("$python" --version) is too old: install Python 3.11 or newer, or name one: PYTHON=/path/to/python3 make up"
"$python" -c 'import ensurepip, venv' 2>/dev/null || need python3-venv "Python's venv module is missing"
command -v setpriv >/dev/null || need util-linux "setpriv is missing"
command -v curl >/dev/null || need curl "curl is missing"

locks=(local/requirements.txt)
[ "${1:-}" != --tests ] || locks=(tests/requirements.txt)
# What the tests need holds all that the application needs.
if ! { [ -x .venv/bin/python ] && { stamp venv-tests tests/requirements.txt || stamp venv "${locks[@]}"; }; }; then
  step "Python packages (${locks[0]})"
  [ -x .venv/bin/python ] || run venv "$python" -m venv .venv
  run pip .venv/bin/python -m pip install --disable-pip-version-check --require-hashes -r "${locks[0]}"
  set_stamp "$([ "${1:-}" = --tests ] && echo venv-tests || echo venv)" "${locks[@]}"
  done_
fi

# --- Java and Maven: DynamoDB Local and Gatling ------------------------------------------------------------
java_major() { javac -version 2>&1 | sed -nE 's/^javac ([0-9]+).*/\1/p'; }
[ "$(java_major)" -ge 17 ] 2>/dev/null || need default-jdk-headless "a JDK, version 17 or newer, is missing"
command -v mvn >/dev/null || need maven "Maven is missing"

if ! { [ -d "$cache/dynamodb" ] && stamp dynamodb local/dynamodb/*; }; then
  step "DynamoDB Local"
  rm -rf "$cache/dynamodb.new"
  run dynamodb mvn -B -ntp -f local/dynamodb/pom.xml dependency:copy-dependencies -DoutputDirectory="$cache/dynamodb.new"
  run dynamodb javac -cp "$cache/dynamodb.new/*" -d "$cache/dynamodb.new" local/dynamodb/LoopbackDynamoDB.java
  rm -rf "$cache/dynamodb" && mv "$cache/dynamodb.new" "$cache/dynamodb"
  set_stamp dynamodb local/dynamodb/*
  done_
fi

if ! stamp gatling gatling/pom.xml; then
  step "Gatling"
  run gatling tools/gatling.sh prepare
  set_stamp gatling gatling/pom.xml
  done_
fi

# --- Prometheus: unpacked only, because Debian's package would start a system service -------------------
if [ ! -x "$cache/prometheus/usr/bin/prometheus" ] && ! command -v prometheus >/dev/null; then
  command -v apt-get >/dev/null || fail "Prometheus is missing: put the program 'prometheus' (package prometheus) on PATH and start again"
  step "Prometheus"
  rm -rf "$cache/prometheus.new" && mkdir -p "$cache/prometheus.new"
  if ! apt-cache show prometheus >/dev/null 2>&1; then
    [ "$(id -u)" = 0 ] || fail "the list of packages is empty: run 'sudo apt-get update' (for the package prometheus) and start again"
    run apt apt-get update
  fi
  run prometheus bash -c "cd '$cache/prometheus.new' && apt-get download prometheus && dpkg -x prometheus_*.deb . && rm prometheus_*.deb"
  rm -rf "$cache/prometheus" && mv "$cache/prometheus.new" "$cache/prometheus"
  done_
fi
