#!/usr/bin/env bash
# Tokens per second on this machine: our whole loop and bare step against transformers on PyTorch,
# interleaved. Writes docs/results/benchmark.json. Takes about 25 minutes.
# Usage: launch/benchmark.sh [--models A B] [--rounds 5] [--seconds 10]
#        launch/benchmark.sh --models 1B 7B     (one GPU: our bare step against compiled PyTorch)
#        launch/benchmark.sh --stream           (what the stream alone gives, and nothing else)
set -euo pipefail
cd "$(dirname "$0")/.."
EXTRAS=test$(! command -v nvidia-smi >/dev/null || echo ,gpu)
source launch/environment.sh
exec python -m launch.benchmark "$@"
