#!/usr/bin/env bash
# Sets up an environment and runs the tests. Usage: launch/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
EXTRAS=test source launch/environment.sh
ruff check .
ruff format --check .
exec python -m pytest -n 2 --dist worksteal "$@"
