"""One line of metrics.jsonl from the signals of a step, and the signals back from the line."""

from collections.abc import Mapping

import numpy as np

from aquila_jax.core.signals import PARAMETER_TYPES, Control, Signals
from aquila_jax.tsm.tokens import FIELDS

_SCALARS = (
    "loss", "log_z_squared", "learning_rate", "grad_norm", "micro_grad_square", "update_ratio",
    "skipped",
)  # fmt: skip
_PER_LAYER = {"update_rms": "update_rms_N", "weight_rms": "weight_rms_N"}
_PER_LAYER |= {"layer_grad_norm": "grad_norm_N"}
_HEAVY = {"activation_rms": "activation_rms_N", "attention_logit_max": "attention_logit_max_N"}
_HEAVY |= {"output_logit_max": "output_logit_max"}


def to_line(signals: Signals, control: Control, languages: Mapping[str, str]) -> dict:
    """`languages`: domain -> language, in the order of domain ids. Floats stay exact."""
    line = {name: float(getattr(signals, name)) for name in _SCALARS}
    # A step that was on its way when a domain joined knows nothing of it.
    nats = dict(zip(languages, signals.domain_nats_M.tolist(), strict=False))
    tokens = dict(zip(languages, signals.domain_tokens_M.tolist(), strict=False))
    present = [name for name in tokens if tokens[name]]
    line["domain_nats"] = {name: nats[name] for name in present}
    line["domain_tokens"] = {name: int(tokens[name]) for name in present}
    line["domain_loss"] = {name: nats[name] / tokens[name] for name in present}
    line["language_loss"] = by_language(nats, tokens, languages)
    line |= {key: getattr(signals, name).tolist() for key, name in _PER_LAYER.items()}
    line |= control._asdict()
    if signals.token_oddity_MC is not None:
        rows = zip(languages, signals.token_oddity_MC.astype(int).tolist(), strict=False)
        line["token_oddity"] = {name: row for name, row in rows if row[0]}
    if signals.weight_std_PN is not None:
        line |= {key: getattr(signals, name).tolist() for key, name in _HEAVY.items()}
        stds = signals.weight_std_PN.tolist()
        line["weight_std"] = dict(zip(PARAMETER_TYPES, stds, strict=True))
    return line


def by_language(
    nats: Mapping[str, float], tokens: Mapping[str, float], languages: Mapping[str, str]
) -> dict[str, float]:
    """Mean nats per target of each language that has any."""
    sums: dict[str, list[float]] = {}
    for domain, language in languages.items():
        so_far = sums.setdefault(language, [0.0, 0.0])
        so_far[0] += nats.get(domain, 0.0)
        so_far[1] += tokens.get(domain, 0.0)
    return {language: total / count for language, (total, count) in sums.items() if count}


def to_signals(line: Mapping, domains: tuple[str, ...]) -> Signals:
    """What `to_line` was given, bit for bit."""

    def vector(values) -> np.ndarray:
        return np.asarray(values, np.float32)

    def per_domain(values: Mapping[str, float]) -> np.ndarray:
        return vector([values.get(name, 0.0) for name in domains])

    fields = {name: np.float32(line[name]) for name in _SCALARS}
    fields |= {name: vector(line[key]) for key, name in _PER_LAYER.items()}
    fields["domain_nats_M"] = per_domain(line["domain_nats"])
    fields["domain_tokens_M"] = per_domain(line["domain_tokens"])
    if "token_oddity" in line:
        nothing = [0] * FIELDS
        odd = [line["token_oddity"].get(name, nothing) for name in domains]
        fields["token_oddity_MC"] = vector(odd)
    if "weight_std" in line:
        fields |= {name: vector(line[key]) for key, name in _HEAVY.items()}
        fields["weight_std_PN"] = vector([line["weight_std"][name] for name in PARAMETER_TYPES])
    return Signals(**fields)
