# Sourced: sets up .venv from the project's own files, once for each state of them, and enters it.
# Usage: [EXTRAS=extra,extra] source launch/environment.sh

# `return`, not `exit`: that would end the shell of whoever sources it by hand.
[[ -f requirements.txt && -f pyproject.toml ]] || {
  echo "$PWD is not the folder of aquila_jax, where .venv belongs; cd there, then source launch/environment.sh." >&2
  return 1
}
extras=${EXTRAS:-}
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "aquila_jax needs Python 3.11 or newer; name one with PYTHON=/path/to/python3.11" >&2
  return 1
}
state=$(cat requirements.txt pyproject.toml | cksum | tr -d ' ')
if [[ ! -e .venv/.ready-$state-$extras ]]; then
  echo "setting up .venv (a minute or two)"
  [[ -x .venv/bin/python ]] || "$python" -m venv .venv || return 1
  # From here on it is no longer that of another state, which else would pass for ready later.
  find .venv -maxdepth 1 -name '.ready-*' ! -name ".ready-$state-*" -delete
  .venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -e ".${extras:+[$extras]}" &&
    touch ".venv/.ready-$state-$extras" || return 1
fi
export PATH=$PWD/.venv/bin:$PATH

# XLA's temporaries are otherwise returned to the system and faulted in again at every step, which
# costs a CPU run a quarter of its time.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=34359738368
export MALLOC_TOP_PAD_=268435456 MALLOC_ARENA_MAX=1
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1  # and on huge pages, which is another twentieth

# The fusions that jaxlib 0.10.2 hands to YNNPACK on a CPU cost a quarter of the time; its products
# alone are as fast as Eigen's.
export XLA_FLAGS=${XLA_FLAGS:---xla_cpu_experimental_ynn_fusion_type=}

export TQDM_DISABLE=1  # datatrove's bars, of stages that take a moment, between our own lines
