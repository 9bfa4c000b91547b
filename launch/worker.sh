#!/usr/bin/env bash
# What launch/tpu.sh runs on every TPU host: set up, start, look after and stop the trainer.
#   worker.sh setup | start COORDINATOR:PORT HOSTS TRAIN_ARGUMENTS... | state | stop SECONDS
set -euo pipefail

code=$HOME/aquila_jax venv=$HOME/aquila_venv run=$HOME/aquila_run

modern() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# The images bring Python 3.10; jax wants 3.11 or newer, which uv fetches without root.
make_venv() {
  local python
  for python in python3 python3.13 python3.12 python3.11; do
    modern "$python" && "$python" -m venv "$venv" 2>/dev/null && return
  done
  python3 -m pip install --user --quiet uv
  python3 -m uv venv --quiet --seed --clear --python 3.12 "$venv"
}

setup() {
  local wanted
  wanted=$(cat "$code"/requirements.txt "$code"/pyproject.toml | sha256sum)
  if [[ -f $venv/ready && $(<"$venv/ready") == "$wanted" ]]; then return; fi
  rm -rf "$venv"
  make_venv
  # requirements.txt pins jax; jax[tpu] then brings the libtpu that belongs to it.
  "$venv/bin/python" -m pip install --quiet --retries 5 -r "$code/requirements.txt" 'jax[tpu]' gcsfs
  echo "$wanted" >"$venv/ready" # last: a set-up that was cut short begins anew
}

# By its name, since after a restart of the machine another process may have the number.
alive() { [[ -f $run/pid ]] && grep -qsxz trainer "/proc/$(<"$run/pid")/cmdline"; }

start() {
  if alive; then return; fi
  mkdir -p "$run"
  rm -f "$run/exit"
  export AQUILA_COORDINATOR=$1 AQUILA_PROCESSES=$2 PYTHONUNBUFFERED=1
  cd "$code"
  # A session of its own, so that it outlives this ssh and `stop` reaches all its children.
  # shellcheck disable=SC2016  # expanded by the inner shell
  setsid nohup bash -c '
    run=$1 venv=$2; shift 2
    trap "" TERM  # the trainer gets the signal and saves; this shell stays to note its exit code
    before=$(wc -c <"$run/log") code=0
    (trap - TERM; exec "$venv/bin/python" -m aquila_jax train "$@") || code=$?
    # JAX aborts a process that waits for a silent one, and Python cannot keep it from that.
    if tail -c "+$((before + 1))" "$run/log" | grep -q "JAX distributed service detected fatal errors"; then code=76; fi
    echo "$code" >"$run/exit.partial"
    mv "$run/exit.partial" "$run/exit"' trainer "$run" "$venv" "${@:3}" \
    </dev/null >>"$run/log" 2>&1 &
  echo $! >"$run/pid"
}

# Waits for the signalled trainer to save (it exits with 75), then uses force.
stop() {
  local deadline=$((SECONDS + $1))
  if ! alive; then return; fi
  kill -TERM -- "-$(<"$run/pid")" 2>/dev/null || true
  while alive && ((SECONDS < deadline)); do sleep 0.2; done
  if alive; then kill -KILL -- "-$(<"$run/pid")" 2>/dev/null || true; fi
}

# One line: none|running|lost|exit:CODE, and the last line of the log.
state() {
  local said=none last=
  if [[ -f $run/exit ]]; then
    said=exit:$(<"$run/exit")
  elif alive; then
    said=running
  elif [[ -f $run/pid ]]; then
    said=lost # killed outright, or the machine was restarted
  fi
  if [[ -f $run/log ]]; then last=$(tail -n 1 "$run/log"); fi
  echo "$said $last"
}

"$@"
