#!/usr/bin/env bash
# Five simulated users who read from S2 (music), in the background.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/tools/gatling.sh" 5 ReadMusicSim
