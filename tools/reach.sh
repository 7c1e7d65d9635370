#!/usr/bin/env bash
# Ends with one message where the place in use does not answer, or where it has no Istio to install on.
# usage: tools/reach.sh [--istio]
set -euo pipefail
# shellcheck source=tools/place.sh
. "$(dirname "$0")/place.sh"
if [ "$PLACE" = local ]; then
  # It says itself that the mesh does not run.
  tools/kubectl get --raw /version >/dev/null
  exit 0
fi

command -v kubectl >/dev/null || { echo "reach: put kubectl on PATH, for the place '$PLACE'" >&2; exit 1; }
kubectl config get-contexts "$PLACE" -o name >/dev/null 2>&1 || {
  echo "reach: the kubeconfig has no context '$PLACE'; it has: $(kubectl config get-contexts -o name 2>&1 | paste -sd ' ')" >&2
  exit 1
}
answer=$(tools/kubectl --request-timeout=10s get --raw /version 2>&1) || {
  echo "reach: '$PLACE' does not answer: $(tail -n 1 <<<"$answer")" >&2
  exit 1
}
if [ "${1:-}" = --istio ] && ! tools/kubectl get crd virtualservices.networking.istio.io -o name >/dev/null 2>&1; then
  echo "reach: '$PLACE' has no Istio: is it the right cluster? To install it: make -f k8s.mak provision" >&2
  exit 1
fi
