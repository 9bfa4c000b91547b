#!/usr/bin/env bash
# Tokens per second on this machine: our whole loop and bare step against transformers on PyTorch,
# interleaved, and the stream alone. Writes docs/results/benchmark.json. Takes about 25 minutes.
# Usage: launch/benchmark.sh [--models A B] [--rounds 5] [--seconds 10] [--stream]
set -euo pipefail
cd "$(dirname "$0")/.."
EXTRAS=test source launch/environment.sh
exec python launch/benchmark.py "$@"
