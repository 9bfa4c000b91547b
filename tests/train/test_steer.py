import dataclasses
import json
import shutil
import types

import pytest

from aquila_jax import cli
from aquila_jax.config import plain
from aquila_jax.core.signals import Decision, Request
from aquila_jax.dmu import places, recipe
from aquila_jax.dmu.sample import DOMAINS
from aquila_jax.dmu.store import open_store
from aquila_jax.dmu.stream import SPLIT, Stream
from aquila_jax.train import host as hosts
from aquila_jax.train import inbox, look, newcomers, orders, phases
from aquila_jax.train.mentor import Mentor
from aquila_jax.train.replay import replay
from tests.train import small

LANGUAGES = {domain.name: domain.language for domain in DOMAINS}


def order(**fields):
    return {"author": "mei", "why": "a test"} | fields


BAD = {
    "not JSON": ("{", "is not JSON"),
    "newer version": (json.dumps(order(version=2, control={"lr_scale": 0.5})), "version 2"),
    "unknown field": (json.dumps(order(version=1, contrl={})), "contrl"),
    "unknown control": (json.dumps(order(version=1, control={"lr": 0.5})), "cannot be steered"),
    "out of range": (json.dumps(order(version=1, control={"lr_scale": 11})), "from 0 to 10"),
    "not a number": (json.dumps(order(version=1, control={"lr_scale": None})), "must be a number"),
    "past sequences": (json.dumps(order(version=1, exclude=[[0, 1]])), "lie ahead"),
    "endless exclusion": (json.dumps(order(version=1, exclude=[[100, 10**23]])), "not beyond"),
    "no span": (json.dumps(order(version=1, exclude=[5])), "must be FIRST:LAST"),
    "endless decay": (
        '{"version": 1, "author": "mei", "control": {"decay_start": Infinity}}',
        "from 0 to 1e",
    ),
    "endless weights": (
        json.dumps(order(version=1, weights={"en": 1e308, "zh": 1e308, "code": 0, "en-zh": 0})),
        "finite sum",
    ),
    "unknown domain": (json.dumps(order(version=1, weights={"fr": 1})), "each domain once"),
    "no author": (json.dumps({"version": 1, "control": {"lr_scale": 1}}), "no author"),
    "future rewind": (
        json.dumps(order(version=1, request={"kind": "rewind", "arguments": {"to_step": 99}})),
        "before step",
    ),
    "arguments that are a list": (
        json.dumps(order(version=1, request={"kind": "stop", "arguments": ["bad data"]})),
        "must be an object",
    ),
    "endless nesting": ("[" * 100_000, "is not JSON"),
    "half a character": (json.dumps(order(version=1) | {"author": "mei \ud83d"}), "is not JSON"),
    "nothing": (json.dumps(order(version=1)), "changes nothing"),
}


@pytest.fixture(scope="module")
def host(runs):
    """A run that stands at step 10."""
    made = small.config(runs / "store")
    sizes = dict.fromkeys(LANGUAGES, 1000)
    begun = hosts.start(made, Mentor(made, LANGUAGES, {}), sizes)
    return dataclasses.replace(begun, step=10, sequences=80)


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_bad_order_is_refused_with_the_reason(host, text, message):
    with pytest.raises(ValueError, match=message):
        orders.parse(text, host, LANGUAGES)


def test_weights_of_languages_are_spread_over_their_domains(host):
    text = json.dumps(order(version=1, weights={"en": 3.0, "zh": 1.0, "code": 0.0, "en-zh": 0.0}))
    weights = orders.parse(text, host, LANGUAGES)["weights"]
    assert sum(weights.values()) == pytest.approx(1)
    english = [weights[name] for name, language in LANGUAGES.items() if language == "en"]
    assert english == pytest.approx([0.25] * 3) and weights["code"] == 0


def test_a_share_that_nothing_can_be_read_for_is_refused(host):
    """Of a language without weights to spread it by, and of a domain without a sequence."""
    english = {name: float(language == "en") for name, language in LANGUAGES.items()}
    host, _ = hosts.remix(host, english)
    text = json.dumps(order(version=1, weights={"en": 0.5, "zh": 0.5, "code": 0, "en-zh": 0}))
    with pytest.raises(ValueError, match=r"\['zh'\] a share"):
        orders.parse(text, host, LANGUAGES)
    sizes = host.ledger.sizes * [name != "code" for name in LANGUAGES]
    bare = dataclasses.replace(host, ledger=dataclasses.replace(host.ledger, sizes=sizes))
    text = json.dumps(order(version=1, weights=dict.fromkeys(LANGUAGES, 1.0)))
    with pytest.raises(ValueError, match=r"\['code'\] have a weight but not one whole sequence"):
        orders.parse(text, bare, LANGUAGES)


def test_stretches_that_overlap_are_excluded_once(host):
    given = orders.parse(
        json.dumps(order(version=1, exclude=[[100, 200], [150, 250], [100, 120]])), host, LANGUAGES
    )
    assert orders.apply(host, given)[0].ledger.skips == ((100, 250),)


def test_a_domain_of_which_nothing_is_left_stays_away(host):
    """By one order, through the phases to come, and where the run goes back to before it."""
    name, *others = LANGUAGES
    away = {"documents": [[name, 0]], "weights": {name: 0.0} | dict.fromkeys(others, 1.0)}
    content = {name: [[0, 1000]]}
    given = orders.parse(json.dumps(order(version=1, **away)), host, LANGUAGES, content=content)
    after, _ = orders.apply(host, given)
    assert after.weights[name] == 0.0
    made = small.config("store", mode="act")
    for named in ({}, dict.fromkeys(LANGUAGES, 1.0)):
        later = recipe.Phase(name="b", mixture="uniform", weights=named, tokens=30 * 8 * 16)
        data = dataclasses.replace(
            made.data, phases=(recipe.Phase(name="a", mixture="uniform"), later)
        )
        config = dataclasses.replace(made, data=data)
        begun, _ = phases.advance(config, dataclasses.replace(after, step=30, sequences=240))
        assert begun.place.phase == 1 and begun.weights[name] == 0.0
        assert begun.weights[others[0]] == pytest.approx(1 / len(others))
        asked = Decision(30, 31, begun.control, request=Request("rewind", {"to_step": 10}))
        back, _ = hosts.back(begun, host, asked)
        assert back.weights[name] == 0.0 and sum(back.weights.values()) == pytest.approx(1)


def test_what_cannot_be_read_does_not_keep_what_comes_after_it(host, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "steer" / "inbox" / "0.json").mkdir(parents=True)
    inbox.hand_in(tmp_path, order(control={"lr_scale": 0.5}))
    machine, told = types.SimpleNamespace(mentor=types.SimpleNamespace(languages=LANGUAGES)), []
    folder = types.SimpleNamespace(
        home=str(tmp_path), path=tmp_path, writes=True, event=lambda *_, why, **__: told.append(why)
    )
    waiting = inbox.Inbox(folder)
    assert [len(waiting.orders(host, machine)) for _ in range(2)] == [0, 1]
    assert len(told) == 1 and told[0].startswith("cannot be read")


def test_an_excluded_stretch_is_read_by_nobody(host):
    text = json.dumps(order(version=1, exclude=[[100, 120], [200, 201]]))
    after, lines = orders.apply(host, orders.parse(text, host, LANGUAGES))
    assert after.ledger.skips == ((100, 120), (200, 201))
    assert lines[0]["exclude"] == [[100, 120], [200, 201]] and after.steers == 1


@pytest.mark.parametrize("asked", ["names", "read_bytes"])
def test_storage_that_does_not_answer_is_asked_again_at_the_next_look(
    host, tmp_path, monkeypatch, asked
):
    (tmp_path / "config.json").write_text("{}")
    inbox.hand_in(tmp_path, order(control={"lr_scale": 0.5}))
    machine = types.SimpleNamespace(mentor=types.SimpleNamespace(languages=LANGUAGES))
    waiting = inbox.Inbox(types.SimpleNamespace(home=str(tmp_path), path=tmp_path, writes=True))

    def fail(place):
        raise OSError(f"{place} cannot be read (503).")

    with monkeypatch.context() as patch:
        patch.setattr(places, asked, fail)
        assert waiting.orders(host, machine) == []
    [taken] = waiting.orders(host, machine)
    assert taken["control"] == {"lr_scale": 0.5}


@pytest.mark.parametrize(
    ("given", "asked"),
    [({"control": {"lr_scale": 0.5}}, "write_bytes"), ({"control": {"lr_scale": 50}}, "write_bytes"),
     ({"control": {"lr_scale": 50}}, "remove")],
)  # fmt: skip
def test_an_order_waits_where_its_fate_cannot_be_written_down(
    host, tmp_path, monkeypatch, given, asked
):
    (tmp_path / "config.json").write_text("{}")
    inbox.hand_in(tmp_path, order(**given))
    machine = types.SimpleNamespace(mentor=types.SimpleNamespace(languages=LANGUAGES))
    folder = types.SimpleNamespace(
        home=str(tmp_path), path=tmp_path, writes=True, event=lambda *_, **__: None
    )
    waiting = inbox.Inbox(folder)

    def fail(*_):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(places, asked, fail)
        assert waiting.orders(host, machine) == [] and waiting.accepted == []
    assert len(waiting.orders(host, machine)) == (given["control"]["lr_scale"] == 0.5)
    assert not list((tmp_path / "steer" / "inbox").glob("*.json"))


def test_an_order_that_could_not_be_taken_out_of_the_inbox_is_taken_once(
    host, tmp_path, monkeypatch
):
    (tmp_path / "config.json").write_text("{}")
    inbox.hand_in(tmp_path, order(control={"lr_scale": 0.5}))
    machine = types.SimpleNamespace(mentor=types.SimpleNamespace(languages=LANGUAGES))
    folder = types.SimpleNamespace(home=str(tmp_path), path=tmp_path, writes=True)

    def fail(*_):
        raise OSError("killed there")

    with monkeypatch.context() as patch:
        patch.setattr(places, "remove", fail)
        [taken] = inbox.Inbox(folder).orders(host, machine)
    started_again = inbox.Inbox(folder)
    host, _ = orders.apply(host, taken)
    assert started_again.orders(host, machine) == []
    assert not list((tmp_path / "steer" / "inbox").glob("*.json"))


def looked_into(folder, host, monkeypatch, failures):
    """How an order to add a source fares, look by look, where reading the source fails so."""
    (folder / "config.json").write_text("{}")
    inbox.hand_in(folder, order(add_source="gs://bucket/more"))
    told = []
    kept = types.SimpleNamespace(
        home=str(folder), path=folder, writes=True, event=lambda *_, why, **__: told.append(why)
    )
    languages, left = types.SimpleNamespace(languages=LANGUAGES), iter(failures)
    stream = types.SimpleNamespace(store=None)
    machine = types.SimpleNamespace(mentor=languages, stream=stream, config=None)

    def inspect(*_):
        raise next(left)

    monkeypatch.setattr(newcomers, "inspect", inspect)
    waiting, looks = inbox.Inbox(kept), []
    for _ in failures:
        looks.append(waiting.orders(host, machine) or list(told))
    return looks


def test_an_order_waits_while_its_source_is_away_but_not_for_ever(host, tmp_path, monkeypatch):
    away = OSError("gs://bucket/more cannot be read (503).")
    looks = looked_into(tmp_path, host, monkeypatch, [away] * inbox.TRIES)
    assert looks == [[]] * (inbox.TRIES - 1) + [[str(away)]]


@pytest.mark.parametrize("error", [FileNotFoundError("no store there"), ValueError("no store")])
def test_a_source_that_is_not_there_is_refused_at_once(host, tmp_path, monkeypatch, error):
    assert looked_into(tmp_path, host, monkeypatch, [error]) == [[str(error)]]


@pytest.fixture(scope="module")
def steered(runs):
    """Six orders wait when the run starts, which takes one every fifth step."""
    workdir, config = runs / "steered", small.config(runs / "store", mode="act")
    workdir.mkdir()
    (workdir / "config.json").write_text(json.dumps(plain(config)))
    for given in (
        order(control={"lr_scale": 0.5}),  # before step 1
        order(version=2, control={"lr_scale": 0.1}),  # refused at step 5
        order(weights={"en": 1.0, "zh": 0.0, "code": 0.0, "en-zh": 0.0}),  # after step 10
        order(exclude=[[200, 240]]),  # after step 15
        order(request={"kind": "rewind", "arguments": {"to_step": 12}}),  # after step 20
        order(request={"kind": "stop"}),  # after step 15 of the new timeline
    ):
        inbox.hand_in(workdir, given)
    assert small.run(config, workdir) == "called"
    return workdir


@pytest.fixture(scope="module")
def gone_on(runs, steered):
    """The stopped run, started again."""
    workdir = runs / "gone_on"
    shutil.copytree(steered, workdir)
    assert small.run(small.config(runs / "store", mode="act"), workdir) == "finished"
    return workdir


def test_orders_are_taken_one_by_one_with_author_and_step(gone_on):
    taken = [line for line in small.lines(gone_on, "journal") if line["kind"] == "steer"]
    assert [line["step"] for line in taken] == [0, 10, 15, 20, 15]
    assert {line["author"] for line in taken} == {"mei"}
    assert taken[0]["control"] == {"lr_scale": [1.0, 0.5]}


def test_they_do_what_they_say(gone_on):
    lines = small.lines(gone_on, "metrics")
    assert {line["lr_scale"] for line in lines} == {0.5}
    languages = [(line["step"], set(line["language_loss"])) for line in lines]
    assert all(found <= {"en", "en-zh"} for step, found in languages if step > 10)
    assert {"zh"} <= set().union(*(found for step, found in languages if step <= 10))
    first = [line["step"] for line in lines if line["timeline"] == 1][0]
    assert first == 13 and lines[-1]["step"] == small.STEPS
    saved = gone_on / "checkpoints" / str(small.STEPS) / "host" / "metadata"
    assert json.loads(json.loads(saved.read_text())["ledger"])["skips"] == [[200, 240]]


def test_a_refused_order_is_kept_with_its_reason_and_changes_nothing(gone_on):
    [reason] = (gone_on / "steer" / "refused").glob("*.reason")
    assert "version 2" in reason.read_text()
    [event] = [line for line in small.lines(gone_on, "events") if line["kind"] == "refused"]
    assert event["step"] == 5 and "version 2" in event["why"]


def test_the_journal_of_a_steered_run_can_be_replayed(gone_on):
    assert replay(gone_on).lines == len(small.lines(gone_on, "journal"))


def test_started_from_an_older_checkpoint_the_orders_are_taken_again(runs, steered, tmp_path):
    workdir = tmp_path / "older"
    shutil.copytree(steered, workdir)
    shutil.rmtree(workdir / "checkpoints" / "15")
    assert small.run(small.config(runs / "store", mode="act"), workdir) == "called"
    assert (workdir / "journal.jsonl").read_bytes() == (steered / "journal.jsonl").read_bytes()
    assert small.losses(workdir) == small.losses(steered)


@pytest.fixture(scope="module")
def cleansed(runs, steered):
    """A document is left out after step 5; after step 10 the run goes back to before that."""
    workdir, config = runs / "cleansed", small.config(runs / "store", mode="act")
    workdir.mkdir()
    shutil.copy(steered / "config.json", workdir)
    stream = Stream(open_store(str(runs / "store")), config.data.length, config.data.packing)
    sizes = {name: len(stream.store.offsets(SPLIT, name)) - 1 for name in stream.domains}
    wanted = [
        [name, number] for name in ("en_facts", "zh_facts") for number in range(0, sizes[name], 2)
    ]
    inbox.hand_in(workdir, order(documents=5))  # refused
    inbox.hand_in(workdir, order(documents=[["en_facts", sizes["en_facts"]]]))  # refused
    inbox.hand_in(workdir, order(documents=wanted))  # after step 10
    inbox.hand_in(workdir, order(request={"kind": "rewind", "arguments": {"to_step": 8}}))
    assert small.run(config, workdir) == "finished"
    return workdir, {tuple(one) for one in wanted}


def test_documents_that_a_person_leaves_out_are_not_read_again(cleansed):
    workdir, wanted = cleansed
    read = {
        step: {
            (found.domain, found.document) for found in look.documents(workdir, step, report=print)
        }
        for step in range(5, small.STEPS + 1)
    }
    assert read[5] & wanted
    assert not set.union(*(read[step] for step in range(9, small.STEPS + 1))) & wanted


def test_the_steps_that_learned_from_a_document_are_told(cleansed, capsys):
    workdir, wanted = cleansed
    found = look.documents(workdir, 5, report=print)[0]
    command = ["trace", "--workdir", str(workdir)]
    assert cli.main([*command, "--document", f"{found.domain}:{found.document}"]) == 0
    assert f"step 5  sequence {found.sequence}  epoch 0" in capsys.readouterr().out
    for bad in ([], ["--step", "5", "--document", "en:1"], ["--document", "en"]):
        assert cli.main([*command, *bad]) == 1


def test_only_steps_whose_order_the_newest_checkpoint_knows_are_traced(cleansed, tmp_path):
    """It is that of step 8, after the rewind: 9 and 10 were left behind, and 11 came later."""
    workdir = tmp_path / "young"
    shutil.copytree(cleansed[0], workdir)
    for step in (20, 40, small.STEPS):
        shutil.rmtree(workdir / "checkpoints" / str(step))
    found = look.documents(workdir, 8, report=print)[0]
    for step in (9, 10, 11):
        with pytest.raises(ValueError, match=f"no step {step} up to its newest checkpoint"):
            look.documents(workdir, step, report=print)
    told = look.steps_with(workdir, found.domain, found.document, report=print)
    assert (
        told[-1][0]
        == 8
        < look.steps_with(cleansed[0], found.domain, found.document, report=print)[-1][0]
    )


def test_a_run_without_some_documents_can_be_replayed(cleansed):
    assert replay(cleansed[0]).lines == len(small.lines(cleansed[0], "journal"))


def test_the_verb_writes_what_the_run_reads(runs, steered, host, capsys):
    command = ["steer", "--workdir", str(steered), "--author", "mei"]
    given = ["--set", "lr_scale=0.5", "--weights", "en=0.5,zh=0.5,code=0,en-zh=0", "--why", "so",
             "--exclude", "90:100", "--exclude-document", "zh_facts:3", "--checkpoint"]  # fmt: skip
    assert cli.main(command + given) == 0
    [file] = (steered / "steer" / "inbox").glob("*.json")
    taken = orders.parse(file.read_text(), host, LANGUAGES, content={"zh_facts": [[1, 2]]})
    file.unlink()
    assert taken["documents"] == [["zh_facts", 3]]
    assert taken["control"] == {"lr_scale": 0.5} and taken["exclude"] == [[90, 100]]
    assert taken["request"] == {"kind": "checkpoint", "arguments": {}} and taken["why"] == "so"
    assert cli.main([*command, "--list"]) == 0
    assert "steer       mei" in capsys.readouterr().out
    assert cli.main([*command, "--set", "lr_scale=x"]) == 1
    assert cli.main([*command, "--stop", "--rewind", "3"]) == 1
    assert cli.main(["steer", "--workdir", str(runs), "--stop"]) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "changes nothing"),
        (["--set", "lr_scale=nan"], "lr_scale=nan must be a number from 0 to 10"),
        (["--set", "lr_scale=11"], "lr_scale=11.0 must be a number from 0 to 10"),
        (["--weights", "en=nan,zh=1"], "must be numbers of at least 0"),
        (["--exclude", "9:9"], "must hold something"),
        (["--rewind", "-1"], "must name a step"),
        (["--stop", "--author", ""], "names no author"),
    ],
)
def test_the_verb_refuses_what_no_run_would_take(tmp_path, capsys, given, message):
    (tmp_path / "config.json").write_text("{}")
    assert cli.main(["steer", "--workdir", str(tmp_path), "--author", "mei", *given]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "steer").exists()


def test_a_finished_run_is_handed_no_order(gone_on, capsys):
    assert cli.main(["steer", "--workdir", str(gone_on), "--author", "mei", "--stop"]) == 1
    assert "is finished, so that no step is left" in capsys.readouterr().err
    assert not list((gone_on / "steer" / "inbox").glob("*"))


def test_a_folder_without_a_run_has_no_journal_to_list(tmp_path):
    with pytest.raises(ValueError, match="name the folder of a run"):
        inbox.in_words(tmp_path)
