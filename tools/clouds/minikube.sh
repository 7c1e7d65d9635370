# shellcheck shell=bash disable=SC2034,SC2153 # what cluster.sh reads
# minikube; cluster.sh says what each function is for.
# Options: https://minikube.sigs.k8s.io/docs/commands/
CONTEXT=$CLUSTER
WHERE="minikube on this machine"

ready() {
  need minikube https://minikube.sigs.k8s.io/docs/start/
}

state() {
  local status
  # It exits with the cluster's state: not 0 for a stopped one.
  status=$(minikube status -p "$CLUSTER" --format '{{.Host}} ' 2>&1) || true
  case $status in
    Running*) echo running ;;
    Stopped*) echo stopped ;;
    *"not found"* | Nonexistent*) ;;
    *) echo "failed ${status%%$'\n'*}" ;;
  esac
}

create() {
  minikube start -p "$CLUSTER" --nodes "$NODES" --cpus "$CPUS" --memory "$MEMORY" --keep-context \
    ${DRIVER:+--driver "$DRIVER"} ${K8S_VERSION:+--kubernetes-version "$K8S_VERSION"}
}

credentials() { minikube update-context -p "$CLUSTER"; }
delete() { minikube delete -p "$CLUSTER"; }

scale() {
  local nodes
  if [ "$1" = 0 ]; then
    minikube stop -p "$CLUSTER"
    return
  fi
  [ "$STATE" = running ] || minikube start -p "$CLUSTER" --keep-context
  mapfile -t nodes < <(minikube node list -p "$CLUSTER" | cut -f 1)
  while [ "${#nodes[@]}" -lt "$1" ]; do
    minikube node add -p "$CLUSTER"
    nodes+=(added)
  done
  while [ "${#nodes[@]}" -gt "$1" ]; do
    minikube node delete "${nodes[-1]}" -p "$CLUSTER"
    unset 'nodes[-1]'
  done
}

list() { minikube profile list; }
show() { minikube node list -p "$CLUSTER"; }
leftovers() { :; }
