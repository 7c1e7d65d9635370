#!/usr/bin/env bash
# Names the place before something is destroyed there, and asks, unless YES=1. Where nobody can answer, it goes on
# on this machine, which `make up` brings back, and on no other place.
# usage: tools/confirm.sh "what will happen"
set -euo pipefail
# shellcheck source=tools/place.sh
. "$(dirname "$0")/place.sh"
echo "On '$PLACE': this will $1."
if [ "${YES:-}" = 1 ]; then exit 0; fi
if [ ! -t 0 ]; then
  if [ "$PLACE" = local ]; then exit 0; fi
  echo "confirm: nobody is there to ask; say YES=1 to go on" >&2
  exit 1
fi
read -rp "Go on? [y/N] " answer
[[ $answer = [yY]* ]] || { echo "Nothing was done." >&2; exit 1; }
