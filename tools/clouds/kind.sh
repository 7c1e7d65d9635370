# shellcheck shell=bash disable=SC2034,SC2153 # what cluster.sh reads
# kind; cluster.sh says what each function is for.
# Options: https://kind.sigs.k8s.io/docs/user/quick-start/ and kind help
CONTEXT=kind-$CLUSTER
WHERE="kind on this machine"
export KIND_EXPERIMENTAL_PROVIDER=$ENGINE

ready() {
  need kind https://kind.sigs.k8s.io/docs/user/quick-start/#installation
  need "$ENGINE" https://docs.docker.com/engine/install/
  "$ENGINE" info >/dev/null 2>&1 || fail "$ENGINE does not answer: start it"
}

nodes() { kind get nodes --name "$CLUSTER" 2>/dev/null; }

state() {
  local clusters names
  clusters=$(kind get clusters 2>/dev/null) || fail "kind get clusters does not work with $ENGINE"
  grep -qx "$CLUSTER" <<<"$clusters" || return 0
  mapfile -t names < <(nodes)
  if [ "${#names[@]}" = 0 ]; then
    echo "failed it has no nodes"
  elif "$ENGINE" inspect --format '{{.State.Running}}' "${names[@]}" | grep -q false; then
    echo stopped
  else
    echo running
  fi
}

create() {
  {
    printf 'kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- role: control-plane\n'
    for ((worker = 1; worker < NODES; worker++)); do echo "- role: worker"; done
  } | kind create cluster --name "$CLUSTER" --config - --wait 5m ${K8S_VERSION:+--image "kindest/node:$K8S_VERSION"}
}

credentials() { kind export kubeconfig --name "$CLUSTER"; }
delete() { kind delete cluster --name "$CLUSTER"; }

scale() {
  local names
  mapfile -t names < <(nodes)
  if [ "$1" = 0 ]; then
    "$ENGINE" stop "${names[@]}"
    return
  fi
  [ "${#names[@]}" = "$1" ] ||
    fail "kind cannot change the number of nodes, which is ${#names[@]}: make -f mk.mak TOOL=kind NODES=${#names[@]} up, or stop and start"
  "$ENGINE" start "${names[@]}"
}

list() { kind get clusters; }
show() { nodes; }
leftovers() { :; }
