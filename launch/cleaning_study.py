"""How well cleaning finds trouble that was planted, how fast it is, and what memory it takes.

    python launch/cleaning_study.py --corpus ../shared/corpus --evaluations ../shared/evals \
        --work build/cleaning --output docs/results/cleaning.json

Each part is written to the output when it is done, and is not done again by a later call.
"""

import argparse
import collections
import dataclasses
import functools
import json
import pathlib
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

from datatrove.data import Document as StepDocument

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from aquila_jax.dmu.clean import leaks, pipeline, report
from aquila_jax.dmu.clean.documents import Document
from aquila_jax.dmu.clean.settings import Leaks, Settings
from launch import cleaning_speed, kept
from launch import cleaning_troubles as troubles

PARTS = ("detection", "speed", "engines", "memory")
NATURAL = ("en", "zh")
DOMAIN = 400_000  # characters of each domain in the detection part
SHARES = {"exact": 0.2, "near": 0.06, "garbled": 0.08, "leak": 0.06, "personal": 0.05}
RULES = {
    "duplicate_exact": "exact",
    "duplicate_near": "near",
    "leak": "leak",
    "poisoned": "poisoned",
}
KINDS = ("exact", "near", "garbled", "leak", "poisoned")
NEAR = 0.7  # the study cuts words in another way than the cleaning does
SAME_RUN = {"en": 48, "zh": 20}  # characters in common that make a natural overlap


def plant(sound: list[Document], items: list[dict], seed: int) -> list[Document]:
    """The sound documents and, after them, a share of each kind of trouble."""
    rng = random.Random(seed)
    made = list(sound)
    some = [one for one in sound if one.language in NATURAL and 300 < len(one.text) < 6000]
    for kind, share in SHARES.items():
        chosen = rng.sample(
            sound if kind == "exact" else some, int(share * len(sound if kind == "exact" else some))
        )
        made += [_damage(one, kind, items, rng) for one in chosen]
    return made + _poison(some, rng)


def _damage(one: Document, kind: str, items: list[dict], rng: random.Random) -> Document:
    text, language, name = one.text, one.language, one.id.split("|", 1)[1]
    detail = ""
    if kind == "near":
        text = troubles.edited(text, language, 0.8, rng)
    elif kind == "garbled":
        text, detail = troubles.noisy(_fresh(text, rng), language, rng)
    elif kind == "leak":
        item = rng.choice([item for item in items if item["lang"] == language])
        text, detail = (
            troubles.planted_item(_fresh(text, rng), item, rng),
            item["id"].replace("|", "_"),
        )
    elif kind == "personal":
        secrets = troubles.personal(language, rng)
        text = (
            _fresh(text, rng) + "\n" + ("，" if language == "zh" else ", ").join(secrets.values())
        )
        detail = json.dumps(secrets)
    return dataclasses.replace(one, text=text, id=f"{kind}|{name}|{detail}", place="planted:1")


def _fresh(text: str, rng: random.Random) -> str:
    """A part of the text, so that what is planted in it is no duplicate of it."""
    length = min(len(text), rng.randint(250, 1500))
    start = rng.randrange(len(text) - length + 1)
    return text[start : start + length]


def _poison(some: list[Document], rng: random.Random) -> list[Document]:
    """A file most of which is garbage, the rest of which looks sound."""
    made = []
    for at, one in enumerate(rng.sample(some, 60)):
        text = _fresh(one.text, rng)
        if at % 3:
            text = troubles.random_characters(text, one.language, rng)
        made.append(
            dataclasses.replace(
                one, text=text, id=f"poisoned|{at}|", source="web", place="poisoned.jsonl:1"
            )
        )
    return made


def detection(corpus: pathlib.Path, evaluations: list[str], work: pathlib.Path, seed: int) -> dict:
    """Precision and recall of each kind of trouble in each language."""
    sound = list(troubles.read(corpus, "train-0000[02].jsonl.gz", DOMAIN))
    items = {}
    for file in evaluations:
        for line in pathlib.Path(file).read_text(encoding="utf-8").splitlines():
            item = json.loads(line)
            items[f"{pathlib.Path(file).stem}:{item['id']}"] = item
    documents = plant(sound, list(items.values()), seed)
    settings = cleaned_for(evaluations)
    made = pipeline.clean(documents, settings, str(work), tell=cleaning_speed.say, key=seed).report
    gone = {one.id: one for one in report.dropped(str(work))}
    left = {one.id: one for one in report.kept(str(work))}
    genuine = _genuine(gone, left, items)
    found = {"documents": len(documents), "sound": len(sound), "seed": seed, "masked": made.masked}
    for tongue in (*NATURAL, "all"):
        here = [one for one in documents if tongue in (one.language, "all")]
        found[tongue] = {kind: _score(kind, here, gone, genuine) for kind in KINDS}
        found[tongue]["personal"] = _secrets(here, left)
    found["missed"] = [name for name in left if not name.startswith(("sound", "personal"))][:60]
    wrong = [name for name in gone if name.startswith("sound") and name not in genuine]
    found["wrong"] = [f"{name} {gone[name].metadata['rule']}" for name in wrong][:60]
    shutil.rmtree(work)
    return found


def cleaned_for(evaluations: list[str]) -> Settings:
    """The cleaning that is studied: of a curated corpus, without the rules for web pages."""
    return Settings(english=None, chinese=None, leaks=Leaks(evaluations=tuple(evaluations)))


def _genuine(gone: dict, left: dict, items: dict) -> set[str]:
    """Sound documents that were dropped with good reason, by the study's own measures."""
    kept = {one.metadata.get("minhash_cluster_id", -1): one for one in left.values()}
    found = set()
    for name, one in gone.items():
        meta = one.metadata
        if meta["rule"] == "duplicate_exact":
            found.add(name)
        elif meta["rule"] == "duplicate_near" and meta["minhash_cluster_id"] in kept:
            first = kept[meta["minhash_cluster_id"]]
            tongue = "zh" if meta["language"] == "zh" else "en"
            if troubles.similarity(first.text, one.text, tongue) >= NEAR:
                found.add(name)
        elif meta["rule"] == "leak" and any(
            _overlap(items[item], one.text) for item in meta["items"]
        ):
            found.add(name)
    return found


def _overlap(item: dict, text: str) -> bool:
    """A long run of characters in common, white space ignored, as the sets' README counts it."""
    run = SAME_RUN["zh" if item["lang"] == "zh" else "en"]
    dense = "".join(text.split())
    question = "".join("".join(leaks.texts(item)).split())
    return any(question[at : at + run] in dense for at in range(len(question) - run + 1))


def _score(kind: str, here: list[Document], gone: dict, genuine: set[str]) -> dict:
    planted = [one.id for one in here if one.id.startswith(f"{kind}|")]
    by_rule = [one.id for one in here if one.id in gone and _kind(gone[one.id]) == kind]
    right = [name for name in by_rule if name.startswith((f"{kind}|", "poisoned|"))]
    natural = [name for name in by_rule if name in genuine and not name.startswith(f"{kind}|")]
    return {
        "planted": len(planted),
        "recall": sum(name in gone for name in planted) / max(1, len(planted)),
        "dropped": len(by_rule),
        "natural": len(natural),  # of the dropped: not planted, yet what the rule is for
        "precision": (len(right) + len(natural)) / max(1, len(by_rule)),
        "precision_planted": len(right) / max(1, len(by_rule)),
    }


def _kind(dropped: StepDocument) -> str:
    rule = dropped.metadata["rule"]
    return RULES.get(rule, "garbled" if rule.startswith(("garbled", "language")) else rule)


def _secrets(here: list[Document], left: dict) -> dict:
    """Share of made-up personal items that are no longer in the text."""
    count, hidden = collections.Counter(), collections.Counter()
    for one in here:
        if one.id.startswith("personal|") and one.id in left:
            for kind, secret in json.loads(one.id.split("|", 2)[2]).items():
                count[kind] += 1
                hidden[kind] += secret not in left[one.id].text
    return {kind: {"items": count[kind], "recall": hidden[kind] / count[kind]} for kind in count}


def _part(output: pathlib.Path, name: str, make: Callable[[], dict]) -> None:
    """Adds a part's result to the output, unless it stands there."""
    known = kept.read(output, {})
    if name not in known:
        kept.write(output, known | {name: make()})


def _table(known: dict) -> Iterator[str]:
    yield "| trouble | language | planted | recall | precision |"
    yield "|---|---|---|---|---|"
    runs = [known[name] for name in known if name.startswith("detection")]
    for kind in KINDS if runs else ():
        for tongue in (*NATURAL, "all"):
            cells = [run[tongue][kind] for run in runs]
            planted, recall, precision = (
                [cell[key] for cell in cells] for key in ("planted", "recall", "precision")
            )
            yield f"| {kind} | {tongue} | {sum(planted)} | {min(recall):.3f} | {min(precision):.3f} |"


def main() -> None:
    """Makes the parts that are missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("corpus", "evaluations", "work", "output"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--copies", type=int, default=0, help="one memory measurement, to stdout")
    given = parser.parse_args()
    evaluations = sorted(map(str, given.evaluations.glob("*.jsonl")))
    if given.copies:
        print(json.dumps(cleaning_speed.memory(given.corpus, given.work, given.copies)))
        return
    part = functools.partial(_part, given.output)
    if "detection" in given.parts:
        for seed in range(given.seeds):
            work = given.work / f"seed{seed}"
            part(f"detection {seed}", lambda: detection(given.corpus, evaluations, work, seed))
    if "speed" in given.parts:
        settings = cleaned_for(evaluations)
        part("speed", lambda: cleaning_speed.speed(given.corpus, settings, given.work))
    if "engines" in given.parts:
        part("engines", lambda: cleaning_speed.engines(given.corpus, given.work / "engines"))
    if "memory" in given.parts:
        for copies in (1, 10):
            part(f"memory {copies}", lambda: _memory(copies))
    print("\n".join(_table(kept.read(given.output, {}))))


def _memory(copies: int) -> dict:
    """In a process of its own, whose largest memory is this run's."""
    command = [sys.executable, *sys.argv, "--copies", str(copies)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


if __name__ == "__main__":
    main()
