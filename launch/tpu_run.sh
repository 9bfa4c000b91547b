# shellcheck shell=bash disable=SC2154
# The part of tpu.sh that deals with the hosts: copy, set up, start, look after, launch again.

remote='bash aquila_jax/launch/worker.sh'
stop="if test -f aquila_jax/launch/worker.sh; then $remote stop 600; fi" # saving takes its time

# shellcheck disable=SC2016  # expanded on the host
host_state='n=$(curl -sf -H "Metadata-Flavor: Google" http://metadata.google.internal/computeMetadata/v1/instance/attributes/agent-worker-number); echo "worker $n $(bash aquila_jax/launch/worker.sh state 2>/dev/null || echo "none ")"'

# Sets hosts to the addresses of the first slice's hosts, in the order of their numbers.
find_hosts() {
  local said
  said=$(tpus tpu-vm describe "${nodes[0]}" '--format=value(networkEndpoints[].ipAddress)') || (explain 'gcloud tpu-vm describe') || return 1
  [[ -z $dry ]] || said=ADDRESS_OF_HOST_0
  read -ra hosts <<<"${said//;/ }"
}

# Sets report (a line a host), missing (hosts that do not answer), states (without what the logs
# say, which may hold any word) and verdict over all hosts: none, running, finished, stopped (told
# to, or lost: launch again) or failed.
collect() {
  local slice number lines
  report='' missing=''
  for slice in "${!nodes[@]}"; do
    lines=$(on_hosts --node="$slice" --command="$host_state") || true
    for number in "${!hosts[@]}"; do
      grep -q "^worker $number " <<<"$lines" || missing+=" $slice/$number"
    done
    report+=$(grep '^worker ' <<<"$lines" | sed "s|^worker |host $slice/|" || true)$'\n'
  done
  states=" $(cut -d ' ' -f 3 <<<"$report" | tr '\n' ' ') "
  # The order matters: one host that was told to stop, or failed, explains why others broke off (76).
  case ${states//exit:76/broke_off} in
    *' exit:75 '* | *' lost '*) verdict=stopped ;;
    *' exit:'[1-9]*) verdict=failed ;;
    *' broke_off '*) verdict=stopped ;;
    *' running '*) verdict=running ;;
    *' exit:0 '*) verdict=finished ;;
    *) verdict=none ;;
  esac
}

# A host accepts ssh only some time after its slice is ACTIVE.
copy() {
  local attempt
  for attempt in 1 2 3 4 5; do
    if tpus queued-resources scp "$scratch/aquila_jax.tar.gz" "$name:aquila_jax.tar.gz" --worker=all --node=all --quiet; then return; fi
    if grep -q ssh-add "$errors"; then
      leak='' # the fault is here, not there: the TPU that was waited for stays
      explain 'copying to the hosts'
    fi
    say "not all hosts answer ssh yet (attempt $attempt of 5)"
    sleep "$poll"
  done
  (explain 'copying to the hosts (which of them, see above)')
}

# Returns 1, and has said why, where it could not.
run_training() {
  local root arguments count
  look
  [[ $state == ACTIVE || -n $dry ]] || { complain "$name is $state, not ACTIVE: create it first."; return 1; }
  find_hosts || return 1
  if [[ -z $dry ]]; then
    collect
    if [[ $verdict == running && $states != *' none '* && -z $missing ]]; then say "the trainer runs on all hosts already"; return; fi
  fi
  root=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
  [[ -z $(git -C "$root" status --porcelain) ]] || say "note: what is not committed is not copied"
  local archive=(git -C "$root" archive --format=tar.gz "--output=$scratch/aquila_jax.tar.gz" HEAD)
  if [[ -n $dry ]]; then echo "${archive[*]}"; else "${archive[@]}" || return 1; fi
  say "copying HEAD to all hosts"
  copy || return 1
  say "setting up all hosts"
  on_hosts --node=all --command="$stop && rm -rf aquila_jax && mkdir aquila_jax && tar -xzf aquila_jax.tar.gz -C aquila_jax && $remote setup" || (explain 'setting up the hosts') || return 1
  count=$((${#nodes[@]} * ${#hosts[@]}))
  [[ -z $dry ]] || count=NUMBER_OF_HOSTS
  arguments=$(printf '%q ' "${hosts[0]}:$port" "$count" "--config=$config" "--workdir=$workdir" ${extra[@]+"${extra[@]}"})
  on_hosts --node=all --command="$remote start ${arguments% }" || (explain 'starting the trainer') || return 1
  [[ -z $dry ]] || return 0
  local attempt # one answer may be lost on its way
  for attempt in 1 2 3 4 5; do
    collect
    [[ -n $missing || $states == *' none '* ]] || break
    ((attempt == 5)) || sleep "$poll"
  done
  # gcloud leaves out a slice that it cannot prepare, without an error.
  [[ -z $missing ]] || { complain "these hosts (slice/host) never answered:$missing; the others wait for them in vain. See launch/tpu.sh logs, or delete and relaunch."; return 1; }
  if [[ $states == *' none '* ]]; then printf '%s' "$report" >&2; complain "not all hosts started the trainer, see above."; return 1; fi
  say "the trainer runs; coordinator ${hosts[0]}:$port, workdir $workdir"
}

status() {
  look
  echo "$name in $zone: $state $state_type"
  [[ $state == ACTIVE ]] || return 0
  find_hosts
  collect
  printf '%s' "$report"
  echo "training: $verdict"
  [[ -z $missing ]] || echo "no answer from hosts (slice/host):$missing"
}

# Waits for the end of this launch and sets outcome: finished, stopped, failed or preempted.
follow() {
  local strikes=0 patience
  while sleep "$poll"; do
    look
    if [[ $state != ACTIVE ]]; then outcome=preempted; return; fi
    collect
    [[ -z $missing ]] || say "no answer from hosts (slice/host):$missing"
    # A trainer whose neighbour is gone fails through no fault of its own.
    if [[ $verdict == failed && -n $missing ]]; then verdict=stopped; fi
    # A preemption is seen on the hosts before it is seen on the resource: look three times. But
    # where no host answers it may be our own ssh, and the training may be well.
    patience=3
    [[ -n ${states// /} ]] || patience=20
    case $verdict in
      finished) outcome=finished; return ;;
      running) strikes=0; say "${report%%$'\n'*}" ;;
      *) if ((++strikes >= patience)); then outcome=${verdict/none/stopped}; return; fi ;;
    esac
  done
}

watch() {
  local launch
  for ((launch = 1; launch <= launches; launch++)); do
    if ! create; then
      say "$name ended as $state (launch $launch of $launches); trying again"
      delete
      sleep "$poll"
      continue
    fi
    if run_training; then
      if [[ -n $dry ]]; then return; fi
      leak='' following=1 # from here on an interrupted watch leaves the training alone
      follow
      following=''
      [[ -n $keep ]] || leak=1 # nothing runs there any more
    else
      local attempt # a preemption is seen on the hosts before it is seen on the resource
      for attempt in 1 2 3 4 5; do
        look
        [[ $state == ACTIVE ]] || break
        sleep "$poll"
      done
      if [[ $state == ACTIVE ]]; then following=1; exit 1; fi
      outcome=preempted
    fi
    case $outcome in
      finished)
        say "the training is finished: $workdir"
        [[ -n $keep ]] || delete
        return ;;
      failed)
        printf '%s' "$report" >&2
        tpus queued-resources ssh "$name" --node=0 --worker=0 --quiet --command='tail -n 40 aquila_run/log' >&2 || true
        [[ -n $keep ]] || delete
        die "the training failed; the lines above say why. What was saved is in $workdir." ;;
      *)
        say "$outcome (launch $launch of $launches); launching again"
        if [[ $state == ACTIVE && -n $missing ]]; then delete; fi ;;
    esac
  done
  die "given up after $launches launches; see $workdir/events.jsonl."
}

relaunch() {
  create || die "$name ended as $state; try again, or another zone."
  run_training
}

resize() {
  look
  if [[ $state == ACTIVE ]] && fits; then
    say "$name is $slices x $type already"
  elif [[ $state != NONE || -n $dry ]]; then
    if [[ $state == ACTIVE || -n $dry ]]; then
      say "stopping the trainer, which saves first"
      on_hosts --node=all --command="$stop" || explain 'stopping the trainer'
    fi
    delete
  fi
  relaunch
}
