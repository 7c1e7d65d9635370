#!/usr/bin/env bash
# Installs on a cluster what c756 stands on: Istio, the Prometheus operator with Grafana, Kiali.
# What is there already is left alone and named. The versions were the newest on the day they were written here.
# PROVISION: which of them, where not all are wanted.
set -euo pipefail
# shellcheck source=tools/place.sh
. "$(dirname "$0")/place.sh"

istio=1.30.4 stack=88.4.0 kiali=2.24.0
istio_charts=https://istio-release.storage.googleapis.com/charts
prometheus_charts=https://prometheus-community.github.io/helm-charts
kiali_charts=https://kiali.org/helm-charts
read -ra wanted <<<"${PROVISION:-istio gateway prometheus kiali}"

if [ "$PLACE" = local ]; then
  tools/kubectl get namespace istio-system >/dev/null
  echo "One machine brings Istio's part and Prometheus with make up: nothing to install."
  exit 0
fi
for part in "${wanted[@]}"; do
  [[ $part =~ ^(istio|gateway|prometheus|kiali)$ ]] || {
    echo "provision: PROVISION has '$part'; it may have: istio gateway prometheus kiali" >&2
    exit 2
  }
done
tools/reach.sh

# A managed control plane has no Deployment in the cluster, but its webhook injects the sidecars.
injectors=$(tools/kubectl get mutatingwebhookconfigurations -l app=sidecar-injector -o name)
# A line each: namespace/name, labels of the pods, images.
deployments=$(tools/kubectl get deploy -A -o jsonpath='{range .items[*]}{.metadata.namespace}/{.metadata.name} {.spec.template.metadata.labels} {.spec.template.spec.containers[*].image}{"\n"}{end}')

want() { [[ " ${wanted[*]} " == *" $1 "* ]]; }
# there NAME FOUND: whether something was found, which is then named.
there() { [ -n "$2" ] && echo "$1 is there already, and is left alone: $(paste -sd ' ' <<<"$2")"; }
# having PATTERN: the Deployments whose labels or images match.
having() { grep -E "$1" <<<"$deployments" | cut -d ' ' -f 1 || true; }
install() { # RELEASE CHART REPOSITORY VERSION NAMESPACE
  echo "Installing $2 $4"
  tools/helm upgrade --install "$1" "$2" --repo "$3" --version "$4" -n "$5" --create-namespace \
    -f "charts/values/$2.yaml" --wait --timeout 10m
}

if want istio && ! there Istio "$injectors"; then
  install istio-base base $istio_charts $istio istio-system
  install istiod istiod $istio_charts $istio istio-system
fi
if want gateway && ! there "The ingress gateway" "$(having '"istio":"ingressgateway"')"; then
  install istio-ingressgateway gateway $istio_charts $istio istio-system
fi
if want prometheus && ! there "The Prometheus operator" "$(having 'prometheus-operator[:@]')"; then
  install prometheus kube-prometheus-stack $prometheus_charts $stack monitoring
fi
if want kiali && ! there Kiali "$(having '/kiali[:@]')"; then
  install kiali kiali-server $kiali_charts $kiali istio-system
fi
