"""launch/tpu.sh, real bash from end to end, against a stand-in gcloud whose hosts are folders."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

HERE = pathlib.Path(__file__).parent
REPOSITORY = HERE.parents[1]
SLOW_START = ["WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]
PLACE = ["--name=pod", "--zone=us-east5-b", "--project=demo"]
JOB = ["--config=configs/tiny.py", "--workdir=gs://bucket/run"]

# What stands for python3 and the environment's python on a host: the trainer's exit codes
# come from a file, one entry a start; told to stop it saves and exits with 75.
PYTHON = """#!{python}
import json, os, pathlib, shutil, signal, sys, time
root, arguments = pathlib.Path(os.environ["GCLOUD_ROOT"]), sys.argv[1:]
if arguments[:2] == ["-m", "venv"]:
    target = pathlib.Path(arguments[2]) / "bin"
    target.mkdir(parents=True)
    shutil.copy(__file__, target / "python")
elif arguments[:2] == ["-m", "pip"]:
    with (root / "pips").open("a") as file:
        print(json.dumps(arguments), file=file)
elif arguments[:3] == ["-m", "aquila_jax", "train"]:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    host = os.environ["SLICE"] + "-" + os.environ["WORKER"]
    with (root / f"starts-{{host}}").open("a") as file:
        address = os.environ["AQUILA_COORDINATOR"]
        count = os.environ["AQUILA_PROCESSES"]
        print(json.dumps({{"address": address, "count": count, "arguments": arguments[3:]}}), file=file)
    codes = json.loads((root / "codes").read_text())
    code = codes[len((root / f"starts-{{host}}").read_text().splitlines()) - 1]
    print("step 100 loss 2.5" if code in (0, "forever") else "ValueError: it lost x", flush=True)
    if code == "silence":
        print("F1126 client.h:80] Terminating process because the JAX distributed service "
              "detected fatal errors.", "*** Check failure stack trace: ***", sep="\\n", flush=True)
        os.abort()
    while code == "forever" and pathlib.Path(os.environ["HOME"]).exists():
        time.sleep(0.02)
    sys.exit(1 if code == "forever" else code)
"""


class Cloud:
    """A folder with a gcloud, its state, and the hosts."""

    def __init__(self, root, code, *, outages=None, **state):
        self.root, self.code, self.started = root, code, []
        self.outage(**outages or {})
        (root / "bin").mkdir()
        programs = {
            "gcloud": f'#!/bin/sh\nexec {sys.executable} -IS {HERE / "gcloud"} "$@"\n',
            "curl": '#!/bin/sh\nprintf %s "$WORKER"\n',
            "python3": PYTHON.format(python=f"{sys.executable} -IS"),
        }
        for name, text in programs.items():
            (root / "bin" / name).write_text(text)
            (root / "bin" / name).chmod(0o755)
        defaults = {"zones": ["us-east5-b"], "resources": {}, "plans": [], "hosts": 2}
        defaults |= {"unreachable": [], "agent": "full"}
        (root / "state.json").write_text(json.dumps(defaults | state))
        (root / "codes").write_text(json.dumps([0] * 9))
        path = f"{root / 'bin'}:{os.environ['PATH']}"
        self.env = os.environ | {"PATH": path, "GCLOUD_ROOT": str(root), "TPU_POLL_SECONDS": "0.2"}

    def outage(self, **times):
        """How often each verb does not get through from now on."""
        (self.root / "outages").write_text(json.dumps(times))
        (self.root / "outages").replace(self.root / "outages.json")

    def start(self, *arguments):
        command = [shutil.which("bash"), str(self.code / "launch" / "tpu.sh"), *arguments]
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        # Who runs in the background ignores SIGINT, and bash cannot trap what it was born to ignore.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.started.append(subprocess.Popen(command, env=self.env, **pipe))
        finally:
            signal.signal(signal.SIGINT, before)
        return self.started[-1]

    def run(self, *arguments):
        process = self.start(*arguments)
        out, err = process.communicate(timeout=600)
        return process.returncode, out, err

    def ok(self, *arguments):
        code, out, err = self.run(*arguments)
        assert code == 0, (out, err)
        return out

    def fails(self, *arguments):
        code, out, err = self.run(*arguments)
        assert code not in (0, 2), (out, err)
        return err

    def calls(self, verb):
        """The arguments of each call of a gcloud verb."""
        if not (self.root / "calls").exists():
            return []
        calls = map(json.loads, (self.root / "calls").read_text().splitlines())
        return [call for call in calls if verb in call[:5]]

    @property
    def resources(self):
        return json.loads((self.root / "state.json").read_text())["resources"]

    def starts(self, host="0-0", *, times=1):
        """What the trainers of a host were started with; they start on their own, so it waits."""
        file, patience = self.root / f"starts-{host}", time.monotonic() + 30
        lines = []
        while len(lines) < times and time.monotonic() < patience:
            lines = file.read_text().splitlines() if file.exists() else []
            time.sleep(0.02)
        return [json.loads(line) for line in lines]


def await_words(process, words):
    """Reads what a command says until these words come; it must not end before."""
    while words not in process.stdout.readline():
        assert process.poll() is None


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    """A repository of its own, since `run` copies what is committed."""
    code = tmp_path_factory.mktemp("code")
    shutil.copytree(REPOSITORY / "launch", code / "launch")
    shutil.copy(REPOSITORY / "pyproject.toml", code)
    (code / "configs").mkdir()
    shutil.copy(REPOSITORY / "configs" / "tiny.py", code / "configs")
    (code / "requirements.txt").write_text("jax==0\n")
    git = ["git", "-C", str(code), "-c", "user.name=t", "-c", "user.email=t@t"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *command], check=True)
    return code


@pytest.fixture
def cloud(tmp_path, code):
    def make(**state):
        made.append(Cloud(tmp_path, code, **state))
        return made[0]

    made = []
    yield make
    for process in made[0].started:  # what a failed test has left
        if process.returncode is None:
            process.kill()
            process.communicate()
    shutil.rmtree(tmp_path / "hosts", ignore_errors=True)  # the trainers see it and end


def existing(*states, type_="v6e-16", nodes=1):
    return {"pod": {"states": list(states), "type": type_, "nodes": nodes, "flags": {}}}


def test_create_waits_until_active_and_is_idempotent(cloud):
    cloud = cloud(plans=[{"states": SLOW_START}])
    out = cloud.ok("create", *PLACE, "--type=v6e-16", "--spot")
    assert [word for word in SLOW_START if word in out] == SLOW_START
    assert "ACTIVE already" in cloud.ok("create", *PLACE, "--type=v6e-16", "--spot")
    (call,) = cloud.calls("create")
    assert {"--spot", "--node-id=pod", "--accelerator-type=v6e-16"} < set(call)
    assert "--runtime-version=v2-alpha-tpuv6e" in call
    assert "use resize" in cloud.fails("create", *PLACE, "--type=v5p-128")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--type=v5litepod-256", "--reserved"], ["--runtime-version=v2-alpha-tpuv5-lite", "--reserved"]),
        (["--type=v5p-128", "--slices=2"], ["--node-count=2", "--node-prefix=pod"]),
        (["--type", "v5p-128", "--runtime-version", "mine"], ["--runtime-version=mine", "--node-id=pod"]),
        (
            ["--type=v6e-256", "--flex-start=4h"],
            ["alpha", "--provisioning-model=flex-start", "--max-run-duration=4h"],
        ),
    ],
)  # fmt: skip
def test_what_is_asked_for(cloud, options, said):
    cloud = cloud(plans=[{"states": ["ACTIVE"]}])
    cloud.ok("create", *PLACE, *options)
    assert set(said) < set(cloud.calls("create")[0])


@pytest.mark.parametrize("state", ["SUSPENDED", "FAILED"])
def test_what_is_suspended_or_failed_is_deleted_first(cloud, state):
    cloud = cloud(resources=existing(state), plans=[{"states": SLOW_START}])
    assert "keeps name and quota" in cloud.ok("create", *PLACE, "--type=v6e-16")
    assert len(cloud.calls("delete")) == len(cloud.calls("create")) == 1
    assert cloud.resources["pod"]["states"] == ["ACTIVE"]


def test_waiting_outlasts_a_network_that_is_down(cloud):
    cloud = cloud(plans=[{"states": SLOW_START, "outages": {"describe": 3}}])
    out = cloud.ok("create", *PLACE, "--type=v6e-16")
    assert out.count("gcloud does not answer") == 3 and "Connection refused" in out
    assert list(cloud.resources) == ["pod"] and not cloud.calls("delete")


def test_what_somebody_else_has_asked_for_meanwhile_is_not_deleted(cloud):
    """Or it was this create, whose answer the network lost and which gcloud sent again."""
    cloud = cloud(plans=[{"states": ["PROVISIONING", "ACTIVE"], "rival": True}])
    assert "going on" in cloud.ok("create", *PLACE, "--type=v6e-16")
    assert list(cloud.resources) == ["pod"] and not cloud.calls("delete")


@pytest.mark.parametrize(
    ("nodes", "wanted", "said"),
    [
        (1, ["--type=v6e-32"], "ACTIVE as 1 x v6e-16, not 1 x v6e-32"),
        (1, ["--type=v6e-16", "--slices=2"], "ACTIVE as 1 x v6e-16, not 2 x v6e-16"),
        (2, ["--type=v6e-16"], "ACTIVE as 2 x v6e-16, not 1 x v6e-16"),
    ],
)
def test_what_waits_with_another_type_is_not_taken_for_ours(cloud, nodes, wanted, said):
    cloud = cloud(resources=existing(*SLOW_START, nodes=nodes))
    assert said in cloud.fails("create", *PLACE, *wanted)
    assert list(cloud.resources) == ["pod"] and not cloud.calls("delete")


def test_run_starts_every_host_with_the_pinned_port(cloud):
    cloud = cloud(resources=existing("ACTIVE", nodes=2))
    (cloud.root / "codes").write_text('["forever"]')
    job = ["run", *PLACE, *JOB, "--", "--config.note=two words; $HOME"]
    assert "the trainer runs; coordinator 10.0.0.2:8476" in cloud.ok(*job)
    for host in ("0-0", "0-1", "1-0", "1-1"):
        (start,) = cloud.starts(host)
        assert (start["address"], start["count"]) == ("10.0.0.2:8476", "4")
        assert start["arguments"] == [*JOB, "--config.note=two words; $HOME"]
        assert (cloud.root / "hosts" / "pod" / host / "aquila_jax" / "pyproject.toml").exists()
    pips = [json.loads(line) for line in (cloud.root / "pips").read_text().splitlines()]
    assert len(pips) == 4 and all("jax[tpu]" in pip for pip in pips)
    assert "runs on all hosts already" in cloud.ok(*job)
    assert len(cloud.starts()) == 1
    status = cloud.ok("status", *PLACE)
    assert "host 1/1 running step 100 loss 2.5" in status and "training: running" in status
    assert "step 100 loss 2.5" in cloud.ok("logs", *PLACE, "--node=1", "--worker=1")


def test_watch_relaunches_after_preemption_and_deletes_at_the_end(cloud):
    first = [*SLOW_START, "ACTIVE", "ACTIVE", "SUSPENDING", "SUSPENDED"]
    cloud = cloud(plans=[{"states": first}, {"states": ["FAILED"]}, {"states": SLOW_START}])
    (cloud.root / "codes").write_text('["forever", 0]')
    out = cloud.ok("watch", *PLACE, *JOB, "--type=v6e-16", "--spot")
    assert "preempted (launch 1" in out and "FAILED (launch 2" in out
    assert "training is finished" in out
    assert len(cloud.calls("create")) == 3
    assert [start["arguments"] for start in cloud.starts("0-1", times=2)] == [JOB, JOB]
    assert cloud.resources == {}


def test_watch_goes_on_where_the_trainer_was_told_to_stop(cloud):
    cloud = cloud(plans=[{"states": ["ACTIVE"]}])
    (cloud.root / "codes").write_text("[75, 0]")
    out = cloud.ok("watch", *PLACE, *JOB, "--type=v6e-16", "--keep")
    assert "stopped (launch 1" in out
    assert len(cloud.calls("create")) == 1 and len(cloud.starts("0-1", times=2)) == 2
    assert list(cloud.resources) == ["pod"] and not cloud.calls("delete")


FAULTY = """#!/bin/bash
all="$*"
real() { %s -IS %s "$@"; }
if [[ $all == *%r* && ! -e $GCLOUD_ROOT/hit ]] && { [[ $all != *agent-worker-number* ]] || [[ -e $GCLOUD_ROOT/started ]]; }; then
  touch "$GCLOUD_ROOT/hit"
  [[ $all != *agent-worker-number* ]] || real "$@" | grep -v "^worker 1"
  echo "ssh: connection to 10.0.0.3 closed by remote host." >&2
  exit 255
fi
[[ $all != *"worker.sh start "* ]] || touch "$GCLOUD_ROOT/started"
real "$@"
"""  # fmt: skip


@pytest.mark.parametrize(
    ("command", "states", "creates"),
    [("worker.sh setup", [*["ACTIVE"] * 3, "SUSPENDING", "SUSPENDED"], 2),
     ("agent-worker-number", ["ACTIVE"], 1)],
    ids=["preempted in set-up", "an answer after the start"],
)  # fmt: skip
def test_watch_survives_a_connection_that_breaks_once(cloud, command, states, creates):
    cloud = cloud(plans=[{"states": states}, {"states": ["ACTIVE"]}])
    gcloud = cloud.root / "bin" / "gcloud"
    gcloud.write_text(FAULTY % (sys.executable, HERE / "gcloud", command))
    out = cloud.ok("watch", *PLACE, *JOB, "--type=v6e-16", "--spot")
    assert "training is finished" in out and len(cloud.calls("create")) == creates


@pytest.mark.parametrize(
    ("states", "verdict"),
    [("exit:76 exit:1", "failed"), ("exit:76 exit:76", "stopped"), ("exit:75 exit:76", "stopped"),
     ("lost exit:76", "stopped"), ("running exit:76", "stopped"), ("running exit:0", "running"),
     ("exit:75 exit:1", "stopped"), ("exit:0 exit:0", "finished")],
)  # fmt: skip
def test_the_host_that_explains_the_others_counts_for_all(states, verdict):
    lines = "\n".join(f"worker {i} {state} word" for i, state in enumerate(states.split()))
    script = 'source launch/tpu_run.sh; nodes=(a) hosts=(x y); on_hosts() { echo "$LINES_"; }; '
    done = subprocess.run(
        ["bash", "-c", f'{script} collect; echo "$verdict"'], cwd=HERE.parents[1], text=True,
        capture_output=True, env=os.environ | {"LINES_": lines},
    )  # fmt: skip
    assert done.stdout.strip() == verdict, done.stderr


def test_watch_goes_on_where_jax_has_aborted_those_who_waited_for_a_silent_one(cloud):
    cloud = cloud(plans=[{"states": ["ACTIVE"]}])
    (cloud.root / "codes").write_text('["silence", 0]')
    out = cloud.ok("watch", *PLACE, *JOB, "--type=v6e-16")
    assert "stopped (launch 1" in out and "training is finished" in out
    assert len(cloud.calls("create")) == 1 and cloud.resources == {}


def test_watch_stops_at_a_failure_shows_the_log_and_leaves_nothing(cloud):
    cloud = cloud(plans=[{"states": ["ACTIVE"]}])
    (cloud.root / "codes").write_text("[3]")
    err = cloud.fails("watch", *PLACE, *JOB, "--type=v6e-16")
    assert "host 0/1 exit:3" in err and "ValueError: it lost x" in err
    assert "the training failed" in err
    assert cloud.resources == {} and len(cloud.starts()) == 1


def test_run_starts_the_hosts_that_did_not_start(cloud):
    cloud = cloud(resources=existing("ACTIVE"))
    (cloud.root / "codes").write_text('["forever", "forever"]')
    cloud.ok("run", *PLACE, *JOB)
    shutil.rmtree(cloud.root / "hosts" / "pod" / "0-1")
    assert "the trainer runs; coordinator" in cloud.ok("run", *PLACE, *JOB)
    assert len(cloud.starts("0-1", times=2)) == 2


def worker(home, *arguments):
    command = ["bash", str(REPOSITORY / "launch" / "worker.sh"), *arguments]
    done = subprocess.run(
        command, env=os.environ | {"HOME": str(home)}, text=True, capture_output=True, check=True
    )
    return done.stdout.strip()


def test_a_process_that_has_got_the_number_of_the_trainer_is_not_taken_for_it(tmp_path):
    """After a restart of the machine the number of the trainer may be anybody's."""
    (tmp_path / "aquila_run").mkdir()
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)
    (tmp_path / "aquila_run" / "pid").write_text(f"{other.pid}\n")
    assert worker(tmp_path, "state") == "lost"
    worker(tmp_path, "stop", "1")
    assert other.poll() is None
    other.kill()
    other.wait()


def test_watch_gives_up_after_so_many_launches(cloud):
    cloud = cloud(plans=[{"states": ["FAILED"]}] * 3)
    assert "given up after 2" in cloud.fails("watch", *PLACE, *JOB, "--type=v6e-16", "--launches=2")
    assert cloud.resources == {} and len(cloud.calls("create")) == 2


def test_watch_that_gives_up_leaves_no_tpu_without_a_trainer(cloud):
    cloud = cloud(plans=[{"states": ["ACTIVE"]}])
    (cloud.root / "codes").write_text("[75]")
    assert "given up after 1" in cloud.fails("watch", *PLACE, *JOB, "--type=v6e-16", "--launches=1")
    assert cloud.resources == {}


def test_watch_leaves_no_tpu_on_which_it_could_not_launch_again(cloud):
    cloud = cloud(plans=[{"states": ["ACTIVE"]}])
    (cloud.root / "codes").write_text("[75]")
    process = cloud.start("watch", *PLACE, *JOB, "--type=v6e-16")
    await_words(process, "the trainer runs")
    cloud.outage(scp=5)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 1 and "copying to the hosts" in err
    assert cloud.resources == {}


def test_watch_launches_again_what_is_preempted_while_it_is_set_up(cloud):
    first = ["ACTIVE", "ACTIVE", "SUSPENDED"]
    cloud = cloud(plans=[{"states": first, "outages": {"scp": 5}}, {"states": ["ACTIVE"]}])
    out = cloud.ok("watch", *PLACE, *JOB, "--type=v6e-16")
    assert "preempted (launch 1" in out and "training is finished" in out
    assert cloud.resources == {}


def test_watch_does_not_take_silence_for_death_at_once(cloud):
    """It may be the own ssh that does not get through: the network, a key that is gone."""
    cloud = cloud(plans=[{"states": ["ACTIVE"]}])
    (cloud.root / "codes").write_text('["forever"]')
    process = cloud.start("watch", *PLACE, *JOB, "--type=v6e-16", "--keep")
    await_words(process, "0/0 running")
    cloud.outage(ssh=5)
    for _ in range(5):
        await_words(process, "no answer from hosts")
    await_words(process, "0/0 running")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=600)
    assert "still runs and costs money" in err
    assert list(cloud.resources) == ["pod"] and not cloud.calls("delete")


QUOTA = "RESOURCE_EXHAUSTED: Quota limit 'TPUV6EPreemptible' has been exceeded. Limit: 64."


@pytest.mark.parametrize(
    ("state", "options", "sentence"),
    [
        ({"plans": [{"states": ["PROVISIONING", "FAILED"]}]}, [], "ended as FAILED"),
        ({"plans": [{"error": QUOTA}]}, [], "the quota of project demo in us-east5-b"),
        ({"plans": [{"states": ["WAITING_FOR_RESOURCES"]}]}, ["--wait=0"], "was not ACTIVE after"),
        ({"zones": ["elsewhere"]}, [], "zone us-east5-b does not exist or offers project demo no"),
        ({}, ["--project=nobody"], "project nobody does not exist or you may not use"),
        ({}, ["--type=tpu7x-64"], "no queued resources for TPU7x; use GKE"),
        ({}, ["--type=v9-8"], "must be v5litepod-N, v5p-N or v6e-N"),
        ({}, ["--type=v6e-7x"], "must be v5litepod-N, v5p-N or v6e-N, with N a number"),
        ({}, ["--spot", "--reserved"], "exclude each other"),
        ({}, ["--name="], "--name is missing"),
        ({}, ["--colour=red"], "option --colour does not exist"),
    ],
)
def test_a_failed_create_says_why_and_leaves_nothing(cloud, state, options, sentence):
    cloud = cloud(**state)
    err = cloud.fails("create", *PLACE, "--type=v6e-16", *options)
    assert sentence in err
    assert err.count("tpu.sh: ") <= 2
    assert cloud.resources == {}


@pytest.mark.parametrize("refusal", ["PERMISSION_DENIED", "INVALID_ARGUMENT", "UNAUTHENTICATED"])
def test_what_was_refused_outright_is_not_deleted(cloud, refusal):
    cloud = cloud(plans=[{"error": f"{refusal}: not so."}], outages={"delete": 99})
    err = cloud.fails("create", *PLACE, "--type=v6e-16")
    assert not cloud.calls("delete")
    assert err.count("tpu.sh: ") == 1 and "costs money" not in err


def test_it_is_found_from_its_own_folder(code):
    command = [shutil.which("bash"), "tpu.sh", "--help"]
    done = subprocess.run(command, cwd=code / "launch", capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("launch/tpu.sh VERB")


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--wait=24h", "--wait 24h must be a whole number of seconds from 0 on"),
        ("--wait=09", "--wait 09 must be a whole number of seconds from 0 on"),
        ("--launches=0", "--launches 0 must be a whole number from 1 on"),
        ("--launches=many", "--launches many must be a whole number from 1 on"),
        ("--slices=0", "--slices 0 must be a whole number from 1 on"),
    ],
)
def test_a_number_that_is_none_is_refused_before_anything_costs(cloud, option, sentence):
    cloud = cloud(plans=[{"states": SLOW_START}])
    assert sentence in cloud.fails("watch", *PLACE, *JOB, "--type=v6e-16", option)
    assert cloud.calls("compute") == []


def test_a_config_that_is_not_committed_is_refused_before_anything_costs(cloud):
    cloud = cloud()
    err = cloud.fails("watch", *PLACE, *JOB, "--type=v6e-16", "--config=configs/mine.py")
    assert "configs/mine.py is not in the repository at HEAD" in err
    assert cloud.calls("compute") == [] and cloud.resources == {}


def interrupted(cloud, sent):
    process = cloud.start("create", *PLACE, "--type=v6e-16")
    while not cloud.calls("create") or not cloud.resources:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(sent)
    return process


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_while_waiting_it_leaves_nothing(cloud, sent):
    cloud = cloud(plans=[{"states": ["WAITING_FOR_RESOURCES"]}])
    process = interrupted(cloud, sent)
    process.communicate(timeout=600)
    assert process.returncode == 128 + sent
    assert cloud.resources == {}


def test_who_reads_may_be_gone_and_it_leaves_nothing(cloud):
    """A closed terminal, or a `tee` that the same Ctrl-C has ended."""
    cloud = cloud(plans=[{"states": ["WAITING_FOR_RESOURCES"]}])
    process = interrupted(cloud, signal.SIGHUP)
    process.stdout.close()
    process.stderr.close()
    process.wait(timeout=600)
    assert cloud.resources == {}


def test_interrupted_twice_without_network_it_deletes_all_the_same(cloud):
    cloud = cloud(plans=[{"states": ["WAITING_FOR_RESOURCES"]}], outages={"delete": 3})
    process = interrupted(cloud, signal.SIGINT)
    while not cloud.calls("delete"):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=600)
    assert process.returncode == 130 and cloud.resources == {}


def test_what_cannot_be_deleted_is_the_last_that_is_said(cloud):
    cloud = cloud(plans=[{"states": ["WAITING_FOR_RESOURCES"]}], outages={"delete": 99})
    _, err = interrupted(cloud, signal.SIGTERM).communicate(timeout=600)
    assert "could NOT delete pod in us-east5-b" in err.splitlines()[-1]
    assert "could NOT delete pod" in cloud.fails("delete", *PLACE)


def test_watch_that_is_left_leaves_the_training_alone(cloud):
    cloud = cloud(plans=[{"states": ["ACTIVE"]}])
    (cloud.root / "codes").write_text('["forever"]')
    process = cloud.start("watch", *PLACE, *JOB, "--type=v6e-16")
    await_words(process, "0/0 running")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=600)
    assert "still runs and costs money" in err
    assert list(cloud.resources) == ["pod"]


def test_a_host_that_never_answers_is_named(cloud):
    cloud = cloud(resources=existing("ACTIVE"), unreachable=["0/1"])
    err = cloud.fails("run", *PLACE, *JOB)
    assert "ssh: connect to host 0/1" in err and "copying to the hosts" in err
    assert "no answer from hosts (slice/host): 0/1" in cloud.ok("status", *PLACE)


@pytest.mark.parametrize("verb", ["watch", "relaunch"])
def test_a_key_that_the_agent_lacks_is_said_at_once_and_the_tpu_is_left(cloud, verb):
    cloud = cloud(plans=[{"states": SLOW_START}], agent="empty")
    err = cloud.fails(verb, *PLACE, *JOB, "--type=v6e-16")
    assert "ssh key is not in the ssh agent" in err and 'run "ssh-add KEY"' in err
    assert err.count("tpu.sh: ") == len(cloud.calls("scp")) == 1
    assert list(cloud.resources) == ["pod"] and not cloud.calls("delete")


def test_resize_saves_and_goes_on_from_the_same_workdir(cloud):
    cloud = cloud(resources=existing("ACTIVE"), plans=[{"states": SLOW_START}])
    (cloud.root / "codes").write_text('["forever", "forever"]')
    cloud.ok("run", *PLACE, *JOB)
    assert "stopping the trainer" in cloud.ok("resize", *PLACE, *JOB, "--type=v6e-32")
    (stop,) = [call for call in cloud.calls("ssh") if any(word.endswith("; fi") for word in call)]
    assert {"--worker=all", "--node=all"} < set(stop)
    assert cloud.resources["pod"]["type"] == "v6e-32"
    assert [start["arguments"] for start in cloud.starts("0-1", times=2)] == [JOB, JOB]
    verbs = [call[3] for call in cloud.calls("queued-resources")]
    assert verbs.index("delete") < verbs.index("create")


def test_resize_to_more_slices_of_the_same_type(cloud):
    cloud = cloud(resources=existing("ACTIVE"), plans=[{"states": ["ACTIVE"]}])
    cloud.ok("resize", *PLACE, *JOB, "--type=v6e-16", "--slices=2")
    assert cloud.resources["pod"]["nodes"] == 2
    assert [start["count"] for start in cloud.starts("1-1")] == ["4"]


def test_delete_twice_is_no_error(cloud):
    cloud = cloud(resources=existing("ACTIVE"))
    cloud.ok("delete", *PLACE)
    cloud.ok("delete", *PLACE)
    assert cloud.resources == {}


@pytest.mark.parametrize("verb", ["create", "run", "status", "logs", "watch", "resize", "delete"])
def test_a_dry_run_prints_the_commands_and_runs_none(cloud, verb):
    cloud = cloud()
    out = cloud.ok(verb, *PLACE, *JOB, "--type=v6e-16", "--dry-run")
    assert "gcloud compute tpus queued-resources" in out
    assert cloud.calls("compute") == []
    if verb == "watch":
        order = ["describe pod", "create pod", "scp ", "ssh pod", "10", ":8476"]
        assert "create pod --node-id=pod --accelerator-type=v6e-16" in out
        assert out.index("create pod") < out.index("scp ") < out.index("ssh pod"), order


def test_without_gcloud_it_says_so(cloud):
    cloud = cloud()
    cloud.env["PATH"] = str(cloud.root)
    assert "gcloud is not installed" in cloud.fails("status", *PLACE)


def test_the_stand_in_refuses_what_is_not_documented(cloud):
    cloud = cloud()
    for flag in ("--colour=red", "--provisioning-model=flex-start"):  # the second is alpha only
        command = ["gcloud", "compute", "tpus", "queued-resources", "create", "pod", flag]
        assert subprocess.run(command, env=cloud.env, capture_output=True).returncode == 2
