#!/usr/bin/env bash
# A cluster as a place to run, the same for every vendor. The settings come from the vendor's makefile as environment variables.
# usage: tools/clouds/cluster.sh eks|gcp|az|minikube|kind start|stop|up|down|ls|status|cd
#
# tools/clouds/VENDOR.sh is sourced and sets
#   CONTEXT        name of the kubectl context
#   WHERE          where the cluster is, for people
# and defines
#   ready          fails with one line where a command (besides kubectl) is missing or not logged in
#   state          prints running, stopped, "busy WORD", "failed REASON", partial (remains of a start), or nothing
#   create, delete, credentials (write CONTEXT into the kubeconfig), list, show
#   scale N        brings the nodes to N; 0 is the state "stopped" or a cluster without nodes
#   leftovers      prints, one a line, what the deleted cluster left behind
# and, where deleting a cluster does not delete its load balancers and volumes,
#   RELEASE=1      they are deleted through Kubernetes first
set -euo pipefail
cd "$(dirname "$0")/../.."
vendor=${1:-} action=${2:-}
case $vendor in
  eks | gcp | az) makefile=$vendor.mak ;;
  minikube | kind) makefile=mk.mak ;;
  *) echo "mk.mak: TOOL is '$vendor': it must be minikube or kind" >&2; exit 2 ;;
esac

fail() { echo "$makefile: $1" >&2; exit 1; }

[[ ${CLUSTER:-} =~ ^[a-z][a-z0-9-]{0,29}$ ]] ||
  fail "CLUSTER is '${CLUSTER:-}': it must be a letter and up to 29 more small letters, digits and '-'"
[[ ${NODES:-} =~ ^[1-9][0-9]?$ ]] || fail "NODES is '${NODES:-}': it must be a whole number from 1 to 99"
# shellcheck source=tools/clouds/cli.sh
. tools/clouds/cli.sh
# shellcheck source=/dev/null
. "tools/clouds/$vendor.sh"

prepare() {
  need kubectl https://kubernetes.io/docs/tasks/tools/
  ready
}

# use: the cluster is now the place in use.
use() {
  credentials || fail "no credentials of $CLUSTER for kubectl"
  echo "$CONTEXT" >.place
  echo "The place in use is now $CONTEXT."
}

# forget: takes the cluster out of the kubeconfig, and is no longer the place in use.
forget() {
  local names
  if names=$(kubectl config view -o jsonpath="{.contexts[?(@.name==\"$CONTEXT\")].context.cluster} {.contexts[?(@.name==\"$CONTEXT\")].context.user}" 2>/dev/null) &&
    [ -n "${names// /}" ]; then
    kubectl config delete-context "$CONTEXT" >/dev/null
    kubectl config delete-cluster "${names% *}" >/dev/null || true
    kubectl config delete-user "${names#* }" >/dev/null || true
  fi
  if [ "$(cat .place 2>/dev/null)" = "$CONTEXT" ]; then
    rm .place
    echo "The place in use is now this machine."
  fi
}

# there: sets STATE to the state of a cluster that can be worked with; fails for any other.
there() {
  STATE=$(state)
  case $STATE in
    running | stopped) ;;
    "" | partial) fail "there is no cluster $CLUSTER ($WHERE): make -f $makefile start" ;;
    busy*) fail "$CLUSTER ($WHERE) is ${STATE#busy } just now: wait, see make -f $makefile status" ;;
    *) fail "$CLUSTER ($WHERE) does not work (${STATE#failed }): make -f $makefile stop, then start" ;;
  esac
}

start() {
  STATE=$(state)
  if [ -n "$STATE" ] && [ "$STATE" != partial ]; then
    there
    echo "$CLUSTER ($WHERE) is there already: $STATE. To change its nodes: make -f $makefile up"
    use
    return
  fi
  echo "Creating $CLUSTER ($WHERE) with $NODES nodes; this takes some minutes."
  create || fail "$CLUSTER was not created; what there is of it costs money until you run make -f $makefile stop"
  use
  echo "Next: make -f k8s.mak provision. It costs money until you run make -f $makefile stop."
}

stop() {
  local left
  STATE=$(state)
  case $STATE in
    "") echo "There is no cluster $CLUSTER ($WHERE)." ;;
    "busy DELETING") fail "$CLUSTER ($WHERE) is being deleted just now: run stop again later, to see that nothing is left" ;;
    busy*) there ;;
    *)
      PLACE=$CONTEXT tools/confirm.sh "delete the cluster $CLUSTER ($WHERE) with all that is in it, its load balancers and its volumes"
      if [[ $STATE =~ ^(running|stopped)$ && ${RELEASE:-} = 1 ]]; then
        { credentials && tools/clouds/release.sh "$CONTEXT"; } ||
          echo "Not all load balancers and volumes could be deleted through Kubernetes; the check at the end says what is left." >&2
      fi
      delete || fail "$CLUSTER ($WHERE) was not deleted, and costs money: run make -f $makefile stop again"
      echo "$CLUSTER ($WHERE) is deleted."
      ;;
  esac
  forget
  left=$(leftovers) || fail "it could not be seen whether something is left: run make -f $makefile stop again"
  [ -z "$left" ] || fail "this is left, and may cost money; delete it by hand:"$'\n'"$left"
}

status() {
  STATE=$(state)
  if [ -z "$STATE" ]; then
    echo "There is no cluster $CLUSTER ($WHERE)."
    return
  fi
  echo "$CLUSTER ($WHERE): $STATE"
  show
  if [ "$STATE" = running ]; then
    kubectl --context "$CONTEXT" get nodes -o wide ||
      echo "kubectl has no way to it from here: make -f $makefile cd" >&2
  fi
}

case $action in
  start | stop | status) prepare; "$action" ;;
  up) prepare; there; scale "$NODES"; echo "$CLUSTER ($WHERE) has $NODES nodes." ;;
  down) prepare; there; scale 0; echo "$CLUSTER ($WHERE) has no nodes; what is left of it still costs money: make -f $makefile stop ends that." ;;
  ls) prepare; list ;;
  cd) prepare; there; use ;;
  role)
    declare -F role >/dev/null || fail "$vendor has no roles for DynamoDB"
    prepare; there; role
    ;;
  *) echo "usage: tools/clouds/cluster.sh eks|gcp|az|minikube|kind start|stop|up|down|ls|status|cd" >&2; exit 2 ;;
esac
