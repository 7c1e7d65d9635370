#!/usr/bin/env bash
# Lists a makefile's targets with the line that stands behind their ##.
# usage: tools/help.sh MAKEFILE
set -euo pipefail
awk -F ':.*## ' '/^[a-z0-9 -]+:.*## / {
  if (length($1) > 16) printf "  %s\n  %16s  %s\n", $1, "", $2; else printf "  %-16s  %s\n", $1, $2
}' "$1"
