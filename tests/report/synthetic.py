"""A folder that looks like that of a real run: a bilingual 7B with a spike, a rewind, phases."""

import json
from pathlib import Path

import numpy as np
import orjson

from aquila_jax.core import journal
from aquila_jax.core.signals import PARAMETER_TYPES

LANGUAGE = {
    "en_web": "en", "en_books": "en", "zh_web": "zh", "zh_wiki": "zh", "code": "code",
    "math": "math",
}  # fmt: skip
FLOOR = {"en_web": 2.05, "en_books": 2.2, "zh_web": 2.45, "zh_wiki": 2.15, "code": 1.1, "math": 1.5}
PHASES = (("language", 0.0), ("knowledge", 0.45), ("target", 0.82))
MIXTURES = (
    (0.0, (0.42, 0.12, 0.26, 0.06, 0.10, 0.04)),
    (0.18, (0.40, 0.12, 0.29, 0.06, 0.09, 0.04)),
    (0.34, (0.37, 0.12, 0.32, 0.07, 0.08, 0.04)),
    (0.45, (0.27, 0.18, 0.25, 0.12, 0.10, 0.08)),
    (0.60, (0.25, 0.18, 0.26, 0.12, 0.10, 0.09)),
    (0.82, (0.16, 0.20, 0.18, 0.18, 0.13, 0.15)),
)
BATCH, TOKENS = 864, 864 * 4096


def write_run(
    folder: Path, *, steps: int, done: float = 0.73, seed: int = 0, end: float = 1.79e9
) -> Path:
    """Writes a run of `steps` planned steps of which a share `done` is over at unix time `end`."""
    folder.mkdir(parents=True)
    (folder / "checkpoints" / "100").mkdir(parents=True)
    rows = metrics(steps, int(steps * done), seed, end=end)
    dump(folder / "metrics.jsonl", rows)
    dump(folder / "evaluations.jsonl", evaluations(rows, steps, seed))
    dump(folder / "events.jsonl", events(rows, steps))
    log = journal.Journal(folder / "journal.jsonl")
    for step, kind, fields in sorted(decided(rows, steps, seed), key=lambda entry: entry[0]):
        log.append(step, kind, **fields)
    (folder / "config.json").write_text(json.dumps(config(steps, seed)))
    return folder


def dump(path: Path, rows: list[dict]) -> None:
    """One line a row; what is not finite as Python's own writer has it."""
    lines = [orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY) for row in rows]
    text = b"\n".join(lines) + b"\n" if lines else b""
    path.write_bytes(text.replace(b'"inf"', b"Infinity"))


def config(steps: int, seed: int) -> dict:
    """Settings as a run writes them."""
    return {
        "model": {"layers": 32, "embed": 4096, "heads": 32, "kv_heads": 8, "vocab": 100008},
        "train": {"batch": BATCH, "seed": seed, "checkpoint_every": 500, "evaluate_every": 500},
        "schedule": {"kind": "cosine", "peak": 2e-4, "total": steps * BATCH},
        "data": {"length": 4096, "packing": "best_fit"},
        "mentor": {"mode": "act", "policy": "aquila"},
    }


def weights_at(share: float) -> np.ndarray:
    """The mixture in force when a share of the run is over."""
    return np.array([w for begin, w in MIXTURES if begin <= share][-1])


def metrics(steps: int, last: int, seed: int, *, end: float) -> list[dict]:
    """The lines of metrics.jsonl; a spike near 38 % is rewound by 1 %."""
    rng = np.random.default_rng(seed)
    spike, back = int(0.38 * steps), max(int(0.01 * steps), 8)
    order = [*range(1, spike + 1), *range(spike - back + 1, last + 1)]
    s = np.array(order)
    share, rewound = s / steps, np.arange(len(s)) >= spike
    warm = np.minimum(s / (0.02 * steps), 1)
    rate = 2e-4 * warm * (0.1 + 0.45 * (1 + np.cos(np.pi * share)))
    rate *= np.where(rewound, 0.7, 1.0)
    fall = 8.9 * (1 + s / (0.0006 * steps)) ** -0.62 + 0.28 * (1 - share)
    burst = np.where(~rewound, 1.4 * np.exp(-((spike - s) / (0.004 * steps))), 0)
    noise = 0.018 * rng.standard_normal(len(s)) + 0.012 * rng.standard_t(3, len(s))
    mixtures = np.stack([weights_at(x) for x in share])
    floors = np.array(list(FLOOR.values())) - 0.04 * seed
    lag = np.where(np.array(list(FLOOR)) == "zh_web", 0.35, 0.0)[None] * (1 - share[:, None]) * 0.4
    losses = floors + lag + fall[:, None] + burst[:, None]
    losses = losses + 0.05 * rng.standard_normal(losses.shape)
    loss = (mixtures * losses).sum(1) + noise
    norm = 0.42 + 2.5 * np.exp(-share * 60) + 0.05 * rng.gamma(2, 1, len(s)) + 4 * burst
    seconds = 11.6 + 0.35 * rng.standard_normal(len(s)) + 9 * (rng.random(len(s)) < 0.002)
    extra = np.where(s % 500 == 0, 240.0, 0.0) + np.where(s == int(0.55 * steps), 5400.0, 0.0)
    time = end - np.cumsum((seconds + extra)[::-1])[::-1] + seconds + extra
    tokens = mixtures * TOKENS
    return [
        {
            "step": step, "tokens": step * TOKENS, "sequences": step * BATCH, "loss": loss[i],
            "domain_loss": dict(zip(LANGUAGE, losses[i], strict=True)),
            "domain_tokens": dict(zip(LANGUAGE, tokens[i].astype(int), strict=True)),
            "language_loss": by_language(losses[i], mixtures[i]),
            "learning_rate": rate[i], "lr_scale": 0.7 if rewound[i] else 1.0,
            "grad_norm": norm[i], "update_ratio": 0.9e-3 * warm[i] * (1.2 - share[i]),
            "log_z_squared": 120 + 30 * share[i], "skipped": 0.0, "batch": BATCH, "clip_norm": 1.0,
            "loss_limit": "inf", "grad_norm_limit": 3.0, "time": time[i],
            "step_seconds": seconds[i], "tokens_per_second": TOKENS / seconds[i],
            "mfu": 0.513 * 11.6 / seconds[i], "update_rms": [0.001] * 8, "weight_rms": [0.02] * 8,
        }
        for i, step in enumerate(order)
    ]  # fmt: skip


def by_language(losses: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """The mean loss of each language, by the weights of its domains."""
    kinds = np.array(list(LANGUAGE.values()))
    return {
        kind: (losses * weights)[kinds == kind].sum() / weights[kinds == kind].sum()
        for kind in dict.fromkeys(LANGUAGE.values())
    }


def evaluations(rows: list[dict], steps: int, seed: int) -> list[dict]:
    """Held-out bits per byte and question accuracy, every fortieth of the run."""
    rng = np.random.default_rng(seed + 1)
    every = max(steps // 40, 1)
    bytes_per_token = {"en": 4.1, "zh": 4.5, "code": 3.2, "math": 3.0}
    found = []
    for row in rows:
        if row["step"] % every:
            continue
        domains = {
            name: {
                "nats_per_token": loss + 0.01,
                "bits_per_byte": loss / np.log(2) / bytes_per_token[LANGUAGE[name]],
                "tokens": 100_000,
                "bytes": 400_000,
            }
            for name, loss in row["domain_loss"].items()
        }
        languages = {
            kind: {"bits_per_byte": loss / np.log(2) / bytes_per_token[kind]}
            for kind, loss in row["language_loss"].items()
        }
        where = {"step": row["step"], "tokens": row["tokens"]}
        found.append(where | {"kind": "heldout", "domains": domains, "languages": languages})
        share = row["step"] / steps
        right = {k: 0.25 + g * share**0.6 for k, g in (("en", 0.36), ("zh", 0.30))}
        right = {kind: value + 0.008 * rng.standard_normal() for kind, value in right.items()}
        right["all"] = (right["en"] + right["zh"]) / 2
        found.append(where | {"kind": "questions", "accuracy": right, "items": 2000})
    return found


def events(rows: list[dict], steps: int) -> list[dict]:
    """What happened when: start, compile, saves, evaluations, a preemption, a rewind."""
    begin = rows[0]["time"] - rows[0]["step_seconds"]
    found = [
        {"time": begin - 95, "kind": "start", "step": 0, "seconds": 40.0},
        {"time": begin, "kind": "compile", "step": 0, "seconds": 88.0},
    ]
    rewound = False
    for before, row in zip(rows, rows[1:], strict=False):
        if row["step"] % 500 == 0:
            found.append({"time": row["time"] - 12, "kind": "save", "step": row["step"],
                          "seconds": 31.0})  # fmt: skip
            found.append({"time": row["time"] - 1, "kind": "evaluate", "step": row["step"],
                          "seconds": 170.0})  # fmt: skip
        if row["step"] <= before["step"] and not rewound:
            rewound = True
            found.append({"time": before["time"] + 1, "kind": "rewind", "step": row["step"] - 1,
                          "seconds": 21.0})  # fmt: skip
        if row["step"] == int(0.55 * steps):
            found.append({"time": before["time"] + 20, "kind": "stop", "step": before["step"],
                          "why": "stopped"})  # fmt: skip
            found.append({"time": row["time"] - 60, "kind": "resume", "step": before["step"],
                          "seconds": 140.0})  # fmt: skip
    return found


def decided(rows: list[dict], steps: int, seed: int) -> list[tuple[int, str, dict]]:
    """The journal: phases, mixtures, forecasts, assessments, alarms and decisions."""
    rng = np.random.default_rng(seed + 2)
    last, final = rows[-1]["step"], 1.952 - 0.03 * seed
    found = [(0, "start", {"name": "aquila2_7b", "domains": LANGUAGE})]
    for name, share in PHASES:
        found.append(
            (int(share * steps), "phase", {"name": name, "first_step": int(share * steps)})
        )
    for share, weights in MIXTURES:
        mixture = dict(zip(LANGUAGE, weights, strict=True))
        first = int(share * steps) * BATCH
        found.append((int(share * steps), "mixture", {"first_sequence": first, "weights": mixture}))
    for i in range(2, 41):
        step = int(i * steps / 40)
        width = 0.16 * (1 - 0.9 * i / 40)
        forecast = {
            "step": step, "final_loss": final + 0.5 * width * rng.standard_normal(),
            "low": final - width, "high": final + width, "coverage": 0.9,
            "calibrated_on": 54 if i > 5 else 0, "parameters": {"A": 1.2, "alpha": 0.41},
            "domains": {name: FLOOR[name] + 0.09 for name in LANGUAGE},
        }  # fmt: skip
        plan = {"total_steps": steps, "schedule": "cosine"}
        found.append((step, "forecast", {"forecast": forecast, "plan": plan}))
        settle = dict.fromkeys(PARAMETER_TYPES[:4], 26.0) | dict.fromkeys(PARAMETER_TYPES[4:7], 9.0)
        settle |= dict.fromkeys(PARAMETER_TYPES[7:], 14.0)
        distance = {
            kind: 2e-5 * (0.05 + np.exp(-settle[kind] * i / 40)) * np.exp(0.12 * rng.standard_normal())
            * (1 + 0.15 * j)
            for j, kind in enumerate(PARAMETER_TYPES)
        }  # fmt: skip
        noise = 300 * (1 + 6 * i / 40)
        found.append((step, "assessment", {"trajectory": distance, "noise_scale": noise}))
    found += remedies(steps)
    return [entry for entry in found if entry[0] <= last]


def remedies(steps: int) -> list[tuple[int, str, dict]]:
    """The spike with its alarm, rewind and decisions; an imbalance; advice in shadow."""
    spike, back = int(0.38 * steps), max(int(0.01 * steps), 8)
    alarm = {
        "kind": "slow_divergence", "step": spike - 3, "confidence": 0.97,
        "evidence": {"rise": 0.21, "share": 0.94, "window": 128, "grad_norm": 5.81},
        "cause": "The loss has been creeping up, by 21.0% against its slow average at equal "
        "mixture; 94% of the tokens are in domains that rose.",
        "remedy": "Lower the learning rate to 0.7 of its value, then rewind.",
    }  # fmt: skip
    lag = {
        "kind": "imbalance", "step": int(0.17 * steps), "confidence": 0.91,
        "evidence": {"language": "zh", "excess": 0.031, "others": -0.004},
        "cause": "Language zh lags: it is +3.1% off its own earlier trend, against -0.4% for the "
        "others.",
        "remedy": "Give zh more weight, or check what changed in its data.",
    }  # fmt: skip
    first = (spike - back) * BATCH
    rewind = {
        "rule": "rewind", "effective_step": spike, "control": {"lr_scale": [1.0, 0.7]},
        "weights": None, "exclude": [[first, first + 3 * BATCH]], "mode": "act",
        "request": {"kind": "rewind", "arguments": {"to_step": spike - back}},
        "evidence": {"alarm": "slow_divergence", "confidence": 0.97, "loss": 3.61,
                     "loss_before": 2.63, "checkpoint": spike - back},
        "predict": {"loss_after_200_steps": 2.62},
    }  # fmt: skip
    more = {
        "rule": "balance_languages", "effective_step": int(0.18 * steps), "control": {},
        "weights": dict(zip(LANGUAGE, MIXTURES[1][1], strict=True)), "exclude": [],
        "request": None, "mode": "act", "predict": {"zh_loss_gain": 0.012},
        "evidence": {"language": "zh", "excess": 0.031, "share_before": 0.32, "share_after": 0.35},
    }  # fmt: skip
    advice = {
        "rule": "raise_clip", "effective_step": int(0.66 * steps),
        "control": {"clip_norm": [1.0, 1.25]}, "weights": None, "exclude": [], "request": None,
        "mode": "shadow", "predict": None, "evidence": {"clipped_share": 0.002},
    }  # fmt: skip
    return [
        (int(0.17 * steps), "alarm", {"alarm": lag}),
        (int(0.18 * steps), "decision", more),
        (spike - 3, "alarm", {"alarm": alarm}),
        (spike, "decision", rewind),
        (spike, "rewind", {"to_step": spike - back}),
        (int(0.66 * steps), "decision", advice),
        (int(0.7 * steps), "steer", {"author": "Lin Wei", "why": "save before the maintenance",
                                     "request": {"kind": "checkpoint", "arguments": {}}}),
    ]  # fmt: skip
