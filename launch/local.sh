#!/usr/bin/env bash
# The main job on this computer: set up, prepare, train, evaluate, report. Goes on where it stands.
# Usage: launch/local.sh [CONFIG [WORKDIR]] [--config.key=value ...]
set -euo pipefail
cd "$(dirname "$0")/.."
config=configs/tiny.py
if [[ ${1:---} != --* ]]; then config=$1; shift; fi
workdir=runs/$(basename "$config" .py)
if [[ ${1:---} != --* ]]; then workdir=$1; shift; fi
# The cleaning of documents needs more packages.
EXTRAS=$(! grep -q 'clean=' "$config" || echo clean)
source launch/environment.sh

python -m aquila_jax prepare --config="$config" --workdir="$workdir" "$@"
python -m aquila_jax train --config="$config" --workdir="$workdir" "$@"
python -m aquila_jax report --workdir="$workdir"
