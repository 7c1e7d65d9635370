#!/usr/bin/env bash
# Builds an image and puts it into the nodes of minikube or kind, for a cluster without a registry.
# usage: TOOL=kind IMAGE_BUILD=tools/clouds/build.sh make -f k8s.mak provision
# TOOL (minikube or kind), CLUSTER and ENGINE: as in mk.mak.
set -euo pipefail
context=$1 image=$2
engine=${ENGINE:-docker} cluster=${CLUSTER:-c756}
export KIND_EXPERIMENTAL_PROVIDER=$engine

case ${TOOL:-minikube} in
  minikube) load=(minikube image load "$image" -p "$cluster" --overwrite=true) ;;
  kind) load=(kind load docker-image "$image" --name "$cluster") ;;
  *) echo "build: TOOL is '$TOOL': it must be minikube or kind" >&2; exit 2 ;;
esac
"$engine" build -t "$image" "${@:3}" "$context"
"${load[@]}"
