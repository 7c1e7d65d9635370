#!/usr/bin/env bash
# Says how to get into the Kubernetes dashboard of the place in use, if it has one.
set -euo pipefail
# shellcheck source=tools/place.sh
. "$(dirname "$0")/place.sh"
if [ "$PLACE" = local ]; then
  echo "One machine has no Kubernetes dashboard; see make -f k8s.mak ls, lsd and kiali-url."
elif tools/kubectl -n kubernetes-dashboard get service kubernetes-dashboard-kong-proxy >/dev/null 2>&1; then
  cat <<-TEXT
	In another terminal: kubectl --context $PLACE -n kubernetes-dashboard port-forward service/kubernetes-dashboard-kong-proxy 8443:443
	Then open            https://127.0.0.1:8443/
	A token              kubectl --context $PLACE -n kubernetes-dashboard create token NAME-OF-A-SERVICE-ACCOUNT
	TEXT
else
  echo "'$PLACE' has no Kubernetes dashboard (service kubernetes-dashboard/kubernetes-dashboard-kong-proxy)." >&2
  echo "minikube brings one: minikube dashboard. Elsewhere: https://github.com/kubernetes/dashboard" >&2
  exit 1
fi
