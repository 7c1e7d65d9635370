#!/usr/bin/env bash
# Builds an image with the project's root as context. The log is there afterwards only if the build succeeded;
# its last line is the image's content digest.
# usage: tools/build-image.sh DOCKERFILE NAME:TAG LOG
# On a cluster docker, podman or buildah builds, whichever is there, and pushes to the registry, unless PUSH=0.
# IMAGE_BUILD: a command of one's own instead, called as `$IMAGE_BUILD CONTEXT NAME:TAG -f DOCKERFILE`; it also has to
# bring the image to where the cluster takes it from.
set -euo pipefail
# shellcheck source=tools/place.sh
. "$(dirname "$0")/place.sh"
dockerfile=$1 image=$2 log=$3

[ -f "$dockerfile" ] || { echo "build: there is no $dockerfile (S2_VER=${S2_VER:-}?)" >&2; exit 2; }
mkdir -p "$(dirname "$log")"
# What goes into an image decides its digest: the Dockerfile and what it copies from the context. So it needs no engine,
# is the same for each, and an unchanged service is not rolled out again.
sources() {
  { echo "$dockerfile"; awk '$1 == "COPY" && $2 !~ /^--/ {for (i = 2; i < NF; i++) print $i}' "$dockerfile"; } |
    xargs -I{} find {} -type f -not -path '*/__pycache__/*' | sort
}
source_digest() { sources | xargs sha256sum | sha256sum | sed 's/^/sha256:/; s/ .*//'; }

engine() {
  for name in docker podman buildah; do
    if command -v $name >/dev/null; then echo $name && return; fi
  done
  echo "build: install docker, podman or buildah, or set IMAGE_BUILD to a build command" >&2
  return 2
}

build() {
  if [ "$PLACE" = local ]; then
    local/bin/image build -t "$image" -f "$dockerfile" . && local/bin/image digest "$image"
  elif [ -n "${IMAGE_BUILD:-}" ]; then
    # shellcheck disable=SC2086 # a command with its arguments
    $IMAGE_BUILD . "$image" -f "$dockerfile" && source_digest
  else
    local engine
    engine=$(engine) && "$engine" build -t "$image" -f "$dockerfile" . || return
    [ "${PUSH:-1}" = 0 ] || "$engine" push "$image" || return
    source_digest
  fi
}

echo "Building $image"
if ! build >"$log.part" 2>&1; then
  tail -n 20 "$log.part" >&2
  mv "$log.part" "$log.failed"
  echo "build: $image was not built; all it said: $log.failed" >&2
  exit 1
fi
mv "$log.part" "$log"
