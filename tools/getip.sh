#!/usr/bin/env bash
# Prints address and port of the ingress gateway of the place in use, with a space between.
set -euo pipefail
# shellcheck source=tools/place.sh
. "$(dirname "$0")/place.sh"
gateway=(tools/kubectl -n istio-system get service istio-ingressgateway -o)
address=$("${gateway[@]}" jsonpath='{.status.loadBalancer.ingress[0].ip}{.status.loadBalancer.ingress[0].hostname}')
[ -n "$address" ] || { echo "getip: the ingress gateway of '$PLACE' has no external address yet" >&2; exit 1; }
echo "$address $("${gateway[@]}" jsonpath='{.spec.ports[?(@.name=="http2")].port}')"
