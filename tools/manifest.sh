#!/usr/bin/env bash
# Prints a manifest of cluster/ with the owner of the images and, where it is given, an image's content digest.
# PULL_POLICY: the images' pull policy, where it is not Always.
# usage: tools/manifest.sh FILE [DIGEST]
set -euo pipefail
owner=$(tr '[:upper:]' '[:lower:]' <<<"${REGID:-c756}")
sed -e "s|ghcr.io/YOUR-GITHUB-ID/|${CREG:-ghcr.io}/$owner/|" \
  -e "s|\(imagePullPolicy:\) Always|\1 ${PULL_POLICY:-Always}|" \
  -e "s|\(c756/image-digest:\) \"\"|\1 \"${2:-}\"|" "$1"
