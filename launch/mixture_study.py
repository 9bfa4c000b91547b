"""Online weights against fixed mixtures, on real text, at equal tokens and from equal seeds.

    python launch/mixture_study.py --corpus ../shared/corpus --work build/mixture \
        --output docs/results/mixture.json

Each run of 0.6 M tokens is written to the output when it is done, and is not done again by a later
call; one that was stopped goes on from its checkpoint. Measured is held-out text of the ten real
domains, whatever else was trained on.
"""

import argparse
import dataclasses
import gzip
import json
import pathlib
import random
import shutil
import sys
from collections.abc import Iterator

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from aquila_jax.config import Config, build, plain
from aquila_jax.core.journal import read_lines
from aquila_jax.dmu import prior
from aquila_jax.dmu.prepare import prepare
from aquila_jax.dmu.sources import Source
from aquila_jax.dmu.store import open_store
from aquila_jax.dmu.stream import Stream
from configs.small import LANGUAGES
from launch import kept, mixture_table, runs_study
from launch.mixture_table import SWEEP_SEED

LENGTH, BATCH, STEPS = 128, 16, 300
GARBAGE, GARBAGE_SHARE = "garbage", 0.3
PRECIOUS, PRECIOUS_BYTES = "zh_docs", 20_000  # 63 sequences: uniform reads them 13 times
TEMPERATURES = {"hand_0.3": 0.3, "hand_0.5": 0.5, "hand_0.7": 0.7}  # share ~ size**t
ONLINE = {"aquila": {"may": ("gate",)}, "ado": {}}
CONDITIONS = {  # the arms that tell something; UniMax is uniform where no domain is short of text
    "clean": ("natural", "unimax", "v3", "hand", "aquila"),
    "garbage": ("natural", "unimax", "aquila", "ado", "oracle"),
    "precious": ("natural", "uniform", "unimax", "hand", "aquila"),
}
V3 = {  # the report's recipe v3 in percent (arXiv 2408.07410, section 7.6), a kind at a time
    ("en_docs", "zh_docs", "zh_law", "parallel"): 82.0,  # web: these were pages of sites
    ("code",): 4.5,
    ("zh_modern",): 4.5,  # encyclopedia: most of it is Chinese Wikipedia
    ("en_textbooks",): 4.5,
    ("en_books", "zh_classics"): 2.5,  # literature
    ("math",): 2.0,  # questions and answers
}


def store_of(condition: str, corpus: pathlib.Path, work: pathlib.Path) -> str:
    """The token store of a condition; the tokenizer is that of the clean one."""
    folder, sources = work / condition, runs_study.sources(corpus)
    if condition == "precious":
        first = corpus / PRECIOUS / "train-00000.jsonl.gz"
        sources = _precious(sources, _head(first, folder / "precious.jsonl", PRECIOUS_BYTES))
    if condition == "garbage":
        file = _garbage(folder / "garbage.jsonl", characters=1_500_000)
        sources += (Source(name=GARBAGE, language="en", paths=(str(file),)),)
    settings = runs_study.prepared(sources)
    if condition != "clean":
        clean = store_of("clean", corpus, work)
        settings = dataclasses.replace(settings, tokenizer=f"{clean}/tokenizer.model")
    prepare(settings, str(folder / "store"), report=lambda line: None)
    return str(folder / "store")


def _precious(sources: tuple[Source, ...], file: pathlib.Path) -> tuple[Source, ...]:
    """With the training text of the precious domain from `file` alone."""
    return tuple(
        dataclasses.replace(one, paths=(str(file),))
        if (one.name, one.split) == (PRECIOUS, "train")
        else one
        for one in sources
    )


def _head(file: pathlib.Path, out: pathlib.Path, size: int) -> pathlib.Path:
    """The first documents of a file, `size` bytes of them."""
    out.parent.mkdir(parents=True, exist_ok=True)
    left, kept = size, []
    for line in gzip.open(file, "rt", encoding="utf-8"):
        kept.append(line)
        left -= len(json.loads(line)["text"].encode())
        if left <= 0:
            break
    out.write_text("".join(kept), encoding="utf-8")
    return out


def _garbage(out: pathlib.Path, *, characters: int) -> pathlib.Path:
    """Random letters and Chinese characters: nothing to be learned but how often each comes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    rng, alphabet = random.Random(0), "abcdefghijklmnopqrstuvwxyz  "
    alphabet += "".join(chr(0x4E00 + rng.randrange(3000)) for _ in range(28))
    texts = ("".join(rng.choices(alphabet, k=1500)) for _ in range(characters // 1500))
    out.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return out


def mixture(arm: str, sizes: dict[str, int]) -> dict[str, float]:
    """The shares that a run starts with."""
    real = {name: size for name, size in sizes.items() if name != GARBAGE}
    weights = v3(real) if arm == "v3" else {}
    if arm in TEMPERATURES:
        weights = {name: size ** TEMPERATURES[arm] for name, size in real.items()}
    kind = arm if arm in prior.PRIORS else "unimax"
    shares = prior.mixture(kind, weights, real, STEPS * BATCH)
    part = GARBAGE_SHARE if GARBAGE in sizes and arm != "oracle" else 0.0
    shares = {name: (1 - part) * share for name, share in shares.items()}
    return shares | ({GARBAGE: part} if GARBAGE in sizes else {})


def v3(sizes: dict[str, int]) -> dict[str, float]:
    """The report's shares; within a kind each domain by its size."""
    whole = {kind: sum(sizes.get(name, 0) for name in kind) for kind in V3}
    return {
        name: share * sizes[name] / whole[kind]
        for kind, share in V3.items()
        for name in kind
        if name in sizes
    }


def config_of(arm: str, store: str, seed: int) -> Config:
    """One run. All arms have the same mentor but for what it may do with the mixture."""
    sizes = Stream(open_store(store), LENGTH).sizes
    changed = plain(runs_study.base())
    changed["name"] = arm
    changed["model"] |= {
        "layers": 2,
        "embed": 64,
        "ffn": 176,
        "heads": 2,
        "kv_heads": 1,
        "vocab": runs_study.VOCABULARY,
    }
    changed["prepare"]["vocab_size"] = runs_study.VOCABULARY
    changed["data"] |= {"length": LENGTH, "store": store, "seed": seed, "sample_megabytes": 0.0}
    changed["data"]["weights"] = mixture(arm, sizes)
    changed["schedule"] |= {"peak": 5e-3, "warmup": 15 * BATCH, "total": STEPS * BATCH}
    changed["train"] |= {
        "batch": BATCH, "seed": seed, "evaluate_every": 60, "checkpoint_every": 150, "keep": 1,
        "heavy_every": 10**9, "report_seconds": 1e9, "writers": [],
    }  # fmt: skip
    changed["evaluate"] |= {"heldout_tokens": 4000, "questions": []}
    changed["mentor"] |= {"mode": "act", **ONLINE.get(arm, {})}
    changed["mentor"]["online_weights"] = arm if arm in ONLINE else "off"
    return build(Config, changed, "config")


def run(config: Config, workdir: pathlib.Path) -> dict:
    """Trains, or goes on; the curve of held-out bits per byte, and the last mixture."""
    runs_study.finish(config, workdir)
    told = [line for line in read_lines(workdir / "evaluations.jsonl") if line["kind"] == "heldout"]
    journal = read_lines(workdir / "journal.jsonl")
    curve = [
        {"tokens": line["tokens"]}
        | {name: line["domains"][name]["bits_per_byte"] for name in LANGUAGES}
        for line in told
    ]
    last = [line["weights"] for line in journal if line["kind"] == "mixture"][-1]
    acts = [[line["step"], line["rule"]] for line in journal if line["kind"] == "decision"]
    shutil.rmtree(workdir)
    return {"curve": curve, "weights": last, "decisions": acts}


def study(given: argparse.Namespace) -> None:
    """Every run that is missing; the sweep first, since an arm follows from it."""
    needed = [*given.conditions, *map(_swept, given.conditions)]
    stores = {name: store_of(name, given.corpus, given.work) for name in needed}
    for condition, arm, seed in _order(given.conditions, given.seeds):
        if arm == "hand":
            arm = best_hand(kept.read(given.output, {}), condition)
        name = f"{condition}/{arm}/{seed}"
        if name in kept.read(given.output, {}):
            continue
        print(name, file=sys.stderr, flush=True)
        told = run(config_of(arm, stores[condition], seed), given.work / name.replace("/", "_"))
        kept.write(given.output, kept.read(given.output, {}) | {name: told})


def _order(conditions: list[str], seeds: int) -> Iterator[tuple[str, str, int]]:
    """A seed of all conditions before the next, so that a stop leaves whole seeds."""
    swept = dict.fromkeys(map(_swept, conditions))
    yield from ((condition, arm, SWEEP_SEED) for condition in swept for arm in TEMPERATURES)
    for seed in range(seeds):
        for condition in conditions:
            yield from ((condition, arm, seed) for arm in CONDITIONS[condition])


def _swept(condition: str) -> str:
    """Where the temperature is chosen: the real domains of `garbage` are those of `clean`."""
    return "clean" if condition == "garbage" else condition


def best_hand(runs: dict, condition: str) -> str:
    """The temperature with the best mean on the seed of the sweep."""
    runs = {arm: runs[f"{_swept(condition)}/{arm}/{SWEEP_SEED}"] for arm in TEMPERATURES}
    return min(runs, key=lambda arm: mixture_table.final(runs[arm])[0])


def main() -> None:
    """Makes the runs that are missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("corpus", "work", "output"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=list(CONDITIONS))
    given = parser.parse_args()
    study(given)
    print("\n".join(mixture_table.table(kept.read(given.output, {}), given.conditions)))


if __name__ == "__main__":
    main()
