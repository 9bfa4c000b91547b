#!/usr/bin/env bash
# The gauntlet of planted faults; goes on where it stands. Usage: launch/gauntlet.sh [options, see
# launch/gauntlet.py --help]. Results: docs/results/gauntlet.md and .json, one file a run beside.
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh
exec python launch/gauntlet.py "$@"
