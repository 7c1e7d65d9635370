#!/usr/bin/env bash
# Prints the pods that cannot start, with the reason: an image that cannot be pulled, a Secret that is missing,
# a pod that the cluster does not admit.
# usage: tools/stuck.sh NAMESPACE SELECTOR
set -euo pipefail
# shellcheck source=tools/place.sh
. "$(dirname "$0")/place.sh"
namespace=$1 selector=$2
refusals='{range .items[*]}{range .status.conditions[?(@.type=="ReplicaFailure")]}{.message}{"\n"}{end}{end}'
waiting='{range .items[*]}{range .status.initContainerStatuses[*]}{.state.waiting.reason}{": "}{.state.waiting.message}{"\n"}{end}'
waiting+='{range .status.containerStatuses[*]}{.state.waiting.reason}{": "}{.state.waiting.message}{"\n"}{end}{end}'
tools/kubectl -n "$namespace" get replicasets -l "$selector" -o jsonpath="$refusals"
tools/kubectl -n "$namespace" get pods -l "$selector" -o jsonpath="$waiting" |
  grep -E '^(ErrImage|ImagePull|InvalidImageName|CreateContainer|RunContainerError)' | sort -u || true
