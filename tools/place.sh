#!/usr/bin/env bash
# Sourced by the other tools: goes to the project's root and sets PLACE, "local" or a kubectl context.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
PLACE=${PLACE:-$(cat .place 2>/dev/null || echo local)}
export PLACE
