#!/usr/bin/env bash
# Deletes through Kubernetes what a cloud would keep, and charge for, after the cluster is deleted: load balancers (of
# Services, Ingresses and Gateways) and volumes (of PersistentVolumeClaims). Fails where something is still there at the end.
# usage: tools/clouds/release.sh CONTEXT [SECONDS]
set -euo pipefail
context=$1 seconds=${2:-300}
kube() { kubectl --context "$context" "$@"; }

# Gateways first: their controller would make the load balancer's Service again.
kinds=(ingresses.networking.k8s.io)
if kube get crd gateways.gateway.networking.k8s.io >/dev/null 2>&1; then kinds=(gateways.gateway.networking.k8s.io "${kinds[@]}"); fi
for kind in "${kinds[@]}"; do kube delete "$kind" -A --all --timeout="${seconds}s"; done

# A Service stays until its load balancer is gone: the finalizer service.kubernetes.io/load-balancer-cleanup.
balancers=$(kube get services -A -o jsonpath='{range .items[?(@.spec.type=="LoadBalancer")]}{.metadata.namespace}/{.metadata.name}{"\n"}{end}')
for service in $balancers; do
  echo "Deleting the load balancer of $service"
  kube -n "${service%/*}" delete service "${service#*/}" --ignore-not-found --timeout="${seconds}s"
done

# A claim stays while a pod uses it, and a StatefulSet makes its claims again: the workloads beside it go as well.
claims=$(kube get persistentvolumeclaims -A -o jsonpath='{range .items[*]}{.metadata.namespace}{"\n"}{end}' | sort -u)
for namespace in $claims; do
  echo "Deleting the volumes of namespace $namespace"
  kube -n "$namespace" delete persistentvolumeclaims --all --wait=false
  kube -n "$namespace" delete deployments,statefulsets,daemonsets,replicasets,jobs,cronjobs,pods --all --wait=false
done
if [ -n "$claims" ]; then
  volumes=$(kube get persistentvolumes -o jsonpath='{range .items[?(@.spec.persistentVolumeReclaimPolicy=="Delete")]}{.metadata.name}{"\n"}{end}')
  # shellcheck disable=SC2086 # a list of names
  [ -z "$volumes" ] || kube wait --for=delete persistentvolume $volumes --timeout="${seconds}s"
  kept=$(kube get persistentvolumes -o jsonpath='{range .items[*]}{.metadata.name} {end}')
  [ -z "$kept" ] || { echo "release: these volumes are kept (reclaim policy Retain): $kept" >&2; exit 1; }
fi
