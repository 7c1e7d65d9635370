#!/usr/bin/env bash
# Runs the console in the foreground, on any Prometheus: PROMETHEUS_URL. KUBECONFIG, if set, is what its status page reads.
set -euo pipefail
cd "$(dirname "$0")/.."
port=${PORT:-20001}
export PORT=$port PROMETHEUS_URL=${PROMETHEUS_URL:-http://127.0.0.1:${PROMETHEUS_PORT:-9090}}
export PROMETHEUS_LINK=${PROMETHEUS_LINK:-$PROMETHEUS_URL}
if [ -z "${KUBECONFIG:-}" ] && [ -f "${C756_STATE:-.state}/kubeconfig" ]; then
  export KUBECONFIG=${C756_STATE:-.state}/kubeconfig
fi
echo "The console: http://127.0.0.1:$port/ (Ctrl-C ends it)"
exec .venv/bin/gunicorn -c python:servicekit.gunicorn_conf --bind "127.0.0.1:$port" console.wsgi:app
