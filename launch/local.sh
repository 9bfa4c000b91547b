#!/usr/bin/env bash
# The main job on this computer: set up, prepare, train, evaluate, report. Goes on where it stands.
# Usage: launch/local.sh [CONFIG [WORKDIR [--config.key=value ...]]]
set -euo pipefail
cd "$(dirname "$0")/.."
config=${1:-configs/tiny.py}
# The cleaning of documents needs more packages.
EXTRAS=$(! grep -q 'clean=' "$config" || echo clean)
source launch/environment.sh

workdir=${2:-runs/$(basename "$config" .py)}
shift $(($# < 2 ? $# : 2))

python -m aquila_jax prepare --config="$config" --workdir="$workdir" "$@"
python -m aquila_jax train --config="$config" --workdir="$workdir" "$@"
python -m aquila_jax report --workdir="$workdir"
