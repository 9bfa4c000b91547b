#!/usr/bin/env bash
# Sets up an environment and runs the tests. Usage: launch/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh test
ruff check .
ruff format --check .
exec python -m pytest -n 2 --dist worksteal "$@"
