#!/usr/bin/env bash
# Prints the URL of a page, and on standard error whether something is there yet.
# KIALI_URL, GRAFANA_URL and PROMETHEUS_URL say it for a place where the cluster does not know.
# usage: tools/url.sh kiali|grafana|prometheus
set -euo pipefail
# shellcheck source=tools/place.sh
. "$(dirname "$0")/place.sh"

# external SELECTOR PATH: the external address of the first service with these labels.
external() {
  local service address
  service=$(tools/kubectl get services -A -l "$1" -o jsonpath='{.items[0].metadata.namespace}/{.items[0].metadata.name}' 2>/dev/null) ||
    { echo "url: '$PLACE' has no service with the label $1: make -f k8s.mak provision" >&2; return 1; }
  address=$(tools/kubectl -n "${service%/*}" get service "${service#*/}" \
    -o jsonpath='{.status.loadBalancer.ingress[0].ip}{.status.loadBalancer.ingress[0].hostname}:{.spec.ports[0].port}')
  if [[ $address == :* ]]; then
    echo "url: the service $service has no external address; for a way in from here:" >&2
    echo "  kubectl --context $PLACE -n ${service%/*} port-forward service/${service#*/} 8888$address" >&2
    return 1
  fi
  echo "http://$address$2"
}

# console PATH: the console behind the ingress gateway, where it is deployed and nothing else shows the page.
console() {
  local host port base
  base=$(tools/kubectl -n c756-console get virtualservice c756-console -o jsonpath='{.spec.http[0].match[0].uri.exact}' 2>/dev/null) ||
    return 1
  [ -z "$(tools/kubectl get services -A -l "$2" -o name 2>/dev/null)" ] || return 1
  read -r host port < <(tools/getip.sh) || return 1
  echo "http://$host:$port$base$1"
}

override=${1^^}_URL
if [ -n "${!override:-}" ]; then
  url=${!override}
elif [ "$PLACE" = local ]; then
  case $1 in
    kiali) url=http://127.0.0.1:${INGRESS_PORT:-8080}/kiali ;;
    grafana) url=http://127.0.0.1:${DASHBOARDS_PORT:-3000}/ ;;
    prometheus) url=http://127.0.0.1:${PROMETHEUS_PORT:-9090}/ ;;
  esac
else
  case $1 in
    kiali) url=$(console "" app.kubernetes.io/name=kiali || external app.kubernetes.io/name=kiali /kiali) ;;
    grafana) url=$(console /dashboards app.kubernetes.io/name=grafana || external app.kubernetes.io/name=grafana /) ;;
    prometheus) url=$(external app=kube-prometheus-stack-prometheus /) ;;
  esac
fi
echo "$url"
curl -fsS -o /dev/null --max-time 5 "$url" 2>/dev/null || echo "Nothing answers there yet." >&2
