#!/usr/bin/env bash
# Installs a version of S2 and sends it its share of the traffic: the same as S2_VER=v2 make -e -f k8s.mak s2
# usage: tools/s2ver.sh v1|v2
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in
  v1 | v2) S2_VER=$1 exec make -e -f k8s.mak s2 ;;
  *) echo "usage: tools/s2ver.sh v1|v2" >&2; exit 2 ;;
esac
