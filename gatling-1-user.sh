#!/usr/bin/env bash
# One simulated user who reads from S1 (users), in the background.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/tools/gatling.sh" 1 ReadUserSim
