#!/usr/bin/env bash
# Trains on Cloud TPU queued resources: create, run, watch over, resize, delete. docs/operations.md
set -euo pipefail

usage() {
  cat <<'END'
launch/tpu.sh VERB --name NAME --zone ZONE --project PROJECT [OPTION...] [-- EXTRA...]

  create    ask for the TPU and wait until it is ACTIVE (goes on if it is there already)
  run       copy the repository (HEAD), set up the hosts, start the trainer on all of them
  status    state of the resource and of the trainer on every host
  logs      last lines of a host's log (--worker N, --node N; EXTRA goes to tail, such as -f)
  watch     create, run, and again after every preemption, until the training is finished
  relaunch  the same once: delete what is suspended or failed, create again, run again
  resize    stop (which saves), delete, create with the new --type, run from the same workdir
  delete    delete the resource and its nodes

  --type TYPE             v5litepod-256, v5p-128, v6e-256 ...
  --spot | --reserved | --flex-start DURATION    how to pay; on demand if none is given
  --slices N              slices of that type, over the data-centre network     [1]
  --runtime-version V     [the one documented for the type]
  --config FILE  --workdir gs://BUCKET/RUN       what to train, and where it saves
  --wait SECONDS          longest wait for the TPU                              [86400]
  --launches N            watch gives up after so many                          [100]
  --keep                  watch does not delete the TPU when the training has ended
  --dry-run               print the exact commands and run nothing
EXTRA after -- goes to the trainer, such as --config.key=value.
END
}

complain() { echo "tpu.sh: $*" >&2; }
die() { complain "$@"; exit 1; }
say() { echo "[$(date +%H:%M:%S)] $*"; }

port=8476 # jax's own default, 8482, is closed between v6e slices (jax #35905)
poll=${TPU_POLL_SECONDS:-30}
name='' zone='' project='' type='' pay=() slices=1 runtime='' config='' workdir=''
wait_limit=86400 launches=100 keep='' dry='' worker=0 node=0 track=() extra=()

parse() {
  verb=${1:-help}
  (($#)) && shift
  while (($#)); do
    if [[ $1 == --?*=* ]]; then set -- "${1%%=*}" "${1#*=}" "${@:2}"; fi
    case $1 in
      --) extra=("${@:2}"); return ;;
      --spot | --reserved) pay+=("$1"); shift; continue ;;
      --keep) keep=1; shift; continue ;;
      --dry-run) dry=1; shift; continue ;;
      --help) usage; exit 0 ;;
    esac
    (($# > 1)) || die "option $1 needs a value; see launch/tpu.sh --help."
    case $1 in
      --name) name=$2 ;; --zone) zone=$2 ;; --project) project=$2 ;; --type) type=$2 ;;
      --slices) slices=$2 ;; --runtime-version) runtime=$2 ;; --config) config=$2 ;;
      --workdir) workdir=$2 ;; --wait) wait_limit=$2 ;; --launches) launches=$2 ;; --worker) worker=$2 ;; --node) node=$2 ;;
      --flex-start) track=(alpha) pay+=(--provisioning-model=flex-start "--max-run-duration=$2") ;;
      *) die "option $1 does not exist; see launch/tpu.sh --help." ;;
    esac
    shift 2
  done
}

check() {
  local option
  for option in name zone project; do [[ -n ${!option} ]] || die "--$option is missing."; done
  check_number --slices "$slices" 1
  check_number --launches "$launches" 1
  check_number --wait "$wait_limit" 0 ' of seconds'
  ((${#pay[@]} <= 1 + ${#track[@]})) || die "--spot, --reserved and --flex-start exclude each other."
  case $verb in create | watch | relaunch | resize) check_type ;; esac
  case $verb in run | watch | relaunch | resize)
    [[ -n $config ]] || die "--config is missing: the file in configs/ to train."
    git -C "$here" cat-file -e "HEAD:${config#./}" 2>/dev/null || die "--config $config is not in the repository at HEAD, which is what the hosts get: commit it, and name it from the repository's root (configs/NAME.py)."
    [[ $workdir == gs://* ]] || die "--workdir '$workdir' must be a gs:// path: the hosts share no disk, and a new TPU must find the checkpoints." ;;
  esac
  [[ -n $dry ]] || command -v gcloud >/dev/null || die "gcloud is not installed: https://cloud.google.com/sdk/docs/install."
}

check_number() {
  [[ $2 =~ ^(0|[1-9][0-9]*)$ && $2 -ge $3 ]] || die "$1 $2 must be a whole number${4-} from $3 on."
}

check_type() {
  [[ $type == tpu7x* || $type =~ ^[^-]+-[0-9]+$ ]] || die "--type '$type' must be v5litepod-N, v5p-N or v6e-N, with N a number."
  case $type in
    v5litepod-[0-9]*) : "${runtime:=v2-alpha-tpuv5-lite}" ;;
    v5p-[0-9]*) : "${runtime:=v2-alpha-tpuv5}" ;;
    v6e-[0-9]*) : "${runtime:=v2-alpha-tpuv6e}" ;;
    tpu7x*) die "--type $type: the Cloud TPU API has no queued resources for TPU7x; use GKE or Compute Engine (docs/operations.md), or take v5litepod-N, v5p-N or v6e-N." ;;
    *) die "--type '$type' must be v5litepod-N, v5p-N or v6e-N." ;;
  esac
}

# Runs a gcloud command in the project and zone; dry: prints it. Its complaints go to $errors.
tpus() {
  local command=(gcloud ${track[@]+"${track[@]}"} compute tpus "$@" "--zone=$zone" "--project=$project")
  if [[ -n $dry ]]; then printf '%q ' "${command[@]}" | sed 's/ $/\n/' >&3; return; fi
  "${command[@]}" 2>"$errors" 3>&-
}
on_hosts() { tpus queued-resources ssh "$name" --worker=all --quiet "$@"; }

# Says in our words what the last gcloud command complained about.
explain() {
  local said
  said=$(cat "$errors")
  case $said in
    *ssh-add*)
      die "gcloud's ssh key is not in the ssh agent, without which it does not reach several hosts: eval \"\$(ssh-agent)\", ssh-add the key, and give the same command again. $name is left as it is, and costs money until you delete it. gcloud said: ${said##*$'\n'}" ;;
    *"denied on 'locations/"* | *'not found or access is unauthorized'* | *'nknown zone'* | *'nvalid zone'*)
      die "zone $zone does not exist or offers project $project no TPU: gcloud compute tpus locations list --project=$project." ;;
    *RESOURCE_EXHAUSTED* | *[Qq]uota*)
      die "the quota of project $project in $zone does not allow $slices x ${type:-this type}: delete what is suspended (gcloud compute tpus queued-resources list --zone=$zone), ask for less, or for more quota. gcloud said: ${said##*$'\n'}" ;;
    *PERMISSION_DENIED* | *'roject'*'not found'* | *'not have permission'* | *UNAUTHENTICATED* | *'auth login'*)
      die "project $project does not exist or you may not use its TPUs: check --project, gcloud auth login, and that the Cloud TPU API is enabled." ;;
    *) tail -n 20 "$errors" >&2; die "$1 failed; gcloud's own words stand above." ;;
  esac
}

# Sets state (NONE: no such resource), its type and its nodes, one a slice; fails if gcloud does.
describe() {
  local said
  state=NONE state_type='' nodes=()
  if said=$(tpus queued-resources describe "$name" '--format=value(state.state,tpu.nodeSpec[0].node.acceleratorType,tpu.nodeSpec[].nodeId)'); then
    read -r state state_type said <<<"${said:-NONE - FIRST_NODE}"
    read -ra nodes <<<"${said//;/ }"
  else
    grep -q 'NOT_FOUND.*queuedResources' "$errors"
  fi
}

# As `describe`, until gcloud answers. Where it has never answered it may be for a reason that stays.
answered=''
look() {
  until describe; do
    [[ -n $answered ]] || explain 'gcloud describe'
    say "gcloud does not answer; asking again: $(tail -n 1 "$errors")"
    sleep "$poll"
  done
  answered=1
}

# While it is set, an exit for whatever reason deletes what was asked for: a suspended, failed or
# forgotten resource keeps its name and its quota. `following` leaves a training alone, but says so.
leak='' following=''

# Tries again: the network may be down, and what is just being made may refuse to be deleted.
delete() {
  local attempt
  say "deleting $name with its nodes"
  for ((attempt = 1; attempt <= 10; attempt++)); do
    if tpus queued-resources delete "$name" --force --quiet || grep -q 'NOT_FOUND.*queuedResources' "$errors"; then leak=''; return; fi
    say "not deleted (attempt $attempt of 10): $(tail -n 1 "$errors")"
    sleep "$poll"
  done
  die "could NOT delete $name in $zone; delete it by hand, it costs money."
}

on_exit() {
  local code=$?
  set +e # from here on nothing must keep it from deleting:
  trap - EXIT
  trap '' HUP INT TERM PIPE # neither a second Ctrl-C nor a terminal that is gone
  if [[ -n $leak && -z $dry ]]; then
    complain "not finished; leaving nothing behind."
    (delete)
  elif [[ -n $following ]]; then
    complain "no longer watching; $name still runs and costs money. Go on with watch, or delete."
  fi
  rm -rf "$scratch"
  exit "$code"
}

ask() {
  local named=(--node-id="$name")
  ((slices == 1)) || named=(--node-count="$slices" --node-prefix="$name")
  leak=1
  if tpus queued-resources create "$name" "${named[@]}" --accelerator-type="$type" --runtime-version="$runtime" ${pay[@]+"${pay[@]}"} --async --quiet; then return; fi
  # Refused outright: nothing was made that could be deleted or cost money.
  if grep -qE 'PERMISSION_DENIED|INVALID_ARGUMENT|UNAUTHENTICATED' "$errors"; then leak=''; fi
  grep -q ALREADY_EXISTS "$errors" || explain 'gcloud create'
  leak='' # it may be somebody else's
  say "$name was asked for meanwhile; going on"
}

# Waits until the resource is ACTIVE (returns 0) or is beyond hope (returns 1).
wait_active() {
  local before='' deadline=$((SECONDS + wait_limit))
  [[ -z $dry ]] || return 0
  while look; [[ $state != ACTIVE ]]; do
    [[ $state == "$before" ]] || say "$name is $state"
    before=$state
    case $state in FAILED | SUSPENDED | SUSPENDING | NONE) leak=1; return 1 ;; esac
    ((SECONDS < deadline)) || die "$name was not ACTIVE after $wait_limit seconds (--wait); try another zone or --spot."
    sleep "$poll"
  done
  say "$name is ACTIVE"
}

# Brings the resource to ACTIVE from whatever state it is in.
create() {
  while look; [[ $state == DELETING || $state == SUSPENDING ]]; do sleep "$poll"; done
  case $state in SUSPENDED | FAILED) say "$name is $state: it keeps name and quota until deleted"; delete; state=NONE ;; esac
  if [[ $state == NONE ]]; then ask; else say "$name is $state already; going on"; fi
  wait_active || return 1
  [[ -n $dry ]] || fits || die "$name is ACTIVE as ${#nodes[@]} x $state_type, not $slices x $type: use resize."
}

# Whether what is there is what is asked for.
fits() { [[ $state_type == "$type" && ${#nodes[@]} -eq $slices ]]; }

here=. # where no folder is named, as in bash tpu.sh
[[ $0 != */* ]] || here=${0%/*}
# shellcheck source=launch/tpu_run.sh
. "$here/tpu_run.sh"

main() {
  parse "$@"
  if [[ $verb == help || $verb == --help ]]; then usage; exit 0; fi
  check
  scratch=$(mktemp -d) errors=$scratch/errors
  exec 3>&1
  trap on_exit EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  case $verb in
    create) create || die "$name ended as $state: no capacity, or a node could not be made; see launch/tpu.sh status, then try again or another zone." ;;
    status) status ;;
    run) run_training ;;
    logs) tpus queued-resources ssh "$name" --node="$node" --worker="$worker" --quiet --command="tail ${extra[*]:--n 200} aquila_run/log" || explain 'gcloud ssh' ;;
    watch) watch ;;
    relaunch) relaunch ;;
    resize) resize ;;
    delete) delete ;;
    *) die "verb '$verb' does not exist; see launch/tpu.sh --help." ;;
  esac
  leak=''
}

main "$@"
