"""A person's order to a running job: checked against the run as it stands, and applied."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from aquila_jax.ate import policy
from aquila_jax.core.signals import Decision, Request
from aquila_jax.train import host as hosts
from aquila_jax.train import newcomers
from aquila_jax.train.host import HostState

VERSION = 1
FAR = 10**12  # sequences: more than any run reads, and far from what numbers can hold
RANGES = {
    "lr_scale": (0.0, 10.0), "clip_norm": (1e-6, 1e6), "weight_decay_scale": (0.0, 10.0),
    "z_loss": (0.0, 1.0), "decay_start": (0.0, FAR), "decay_end": (1.0, FAR),
}  # fmt: skip
CHANGES = ("control", "weights", "exclude", "documents", "request", "add_source")
FIELDS = {"version", "author", "why", *CHANGES}
REQUESTS = ("checkpoint", "rewind", "stop")


def read(text: str) -> dict:
    """The order in `text`, as it was handed in."""
    try:
        order = json.loads(text)
        json.dumps(order, ensure_ascii=False).encode()  # as it will be kept
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the order is not JSON ({error}); use `aquila_jax steer`.") from error
    if not isinstance(order, dict):
        raise ValueError("the order must be a JSON object; use `aquila_jax steer`.")
    return order


def check(order: Mapping[str, Any]) -> None:
    """What can be said of an order without the run that it is for; ValueError says what is wrong."""
    if unknown := sorted(set(order) - FIELDS):
        raise ValueError(f"the order has fields {unknown}; there are {sorted(FIELDS)}.")
    if not isinstance(order.get("author"), str) or not order["author"]:
        raise ValueError("the order names no author; add --author NAME.")
    _require_change(order, *CHANGES)
    _check_control(order.get("control") or {})
    _check_shares(order.get("weights") or {})
    _check_spans(order.get("exclude") or [])
    _check_request(order.get("request"))


def parse(
    text: str,
    host: HostState,
    languages: Mapping[str, str],
    *,
    source: dict | None = None,
    content: dict | None = None,
) -> dict:
    """The order in `text`, checked against the run as it stands; ValueError says what is wrong.

    `languages`: domain -> language. `source`: what `newcomers.inspect` says of a store to add.
    `content`: what `trace.rows_of` says of documents to leave out.
    """
    order = read(text)
    if order.get("version") != VERSION:
        raise ValueError(
            f"the order has version {order.get('version')!r}, this run reads version {VERSION}; "
            "use the `steer` of the version that runs."
        )
    check(order)
    checked = {"author": order["author"], "why": str(order.get("why", ""))}
    checked["control"] = _control(order.get("control") or {}, host)
    known = languages | newcomers.languages(source)
    checked["weights"] = _weights(order.get("weights") or {}, host, known)
    if source:
        checked["weights"] = checked["weights"] or newcomers.shares(source, host)
        checked["add_source"] = source
    checked["exclude"] = _ranges(order.get("exclude") or [], host)
    if content:
        checked |= {"documents": order["documents"], "content": content}
    checked["request"] = _request(order.get("request"), host)
    _require_change(checked, "control", "weights", "exclude", "content", "request")
    apply(host, checked)  # once taken it is applied again at every start: now it can be refused
    return checked


def apply(host: HostState, order: dict) -> tuple[HostState, list[dict]]:
    """The host's state under an order, and lines for the journal: the order first."""
    before = host.control._asdict()
    changed = {name: [before[name], value] for name, value in order["control"].items()}
    line = {"kind": "steer", "author": order["author"], "why": order["why"], "control": changed}
    line |= {"effective_step": host.step + 1, "weights": order["weights"] or None}
    line |= {"exclude": order["exclude"], "request": order["request"]}
    if source := order.get("add_source"):
        line["add_source"] = source
        host = dataclasses.replace(host, joined=(*host.joined, source))
    content = order.get("content") or {}
    if content:
        line |= {"documents": order["documents"], "content": content}
    remembered = policy.steered(host.mentor.policy, order["control"], step=host.step)
    host = dataclasses.replace(
        host, steers=host.steers + 1, mentor=host.mentor._replace(policy=remembered)
    )
    host, more = hosts.obey(host, decision(host, order))
    return hosts.leave_out(host, content), [line, *more]  # when its domains may have weight 0


def decision(host: HostState, order: dict) -> Decision:
    """An order as a decision."""
    request = order["request"] and Request(**order["request"])
    return Decision(
        host.step,
        host.step + 1,
        host.control._replace(**order["control"]),
        weights=order["weights"] or None,
        exclude=tuple(tuple(span) for span in order["exclude"]),
        request=request or None,
        author=order["author"],
    )


def _require_change(order: Mapping[str, Any], *parts: str) -> None:
    if not any(order.get(part) for part in parts):
        raise ValueError("the order changes nothing; see `aquila_jax steer --help`.")


def _check_control(given: Any) -> None:
    if not isinstance(given, dict):
        raise ValueError("`control` must be an object of field and value.")
    for name, value in given.items():
        if name not in RANGES:
            raise ValueError(f"{name} cannot be steered; these can: {', '.join(RANGES)}.")
        low, high = RANGES[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            raise ValueError(f"{name}={value!r} must be a number from {low:g} to {high:g}.")


def _control(given: dict, host: HostState) -> dict[str, float]:
    after = host.control._replace(**given)
    if after.decay_end < after.decay_start:
        raise ValueError(
            f"decay_end={after.decay_end:g} must not come before decay_start="
            f"{after.decay_start:g} sequences."
        )
    return {name: float(value) for name, value in given.items()}


def _check_shares(given: Any) -> None:
    if not given:
        return
    pairs = isinstance(given, dict)
    numbers = pairs and all(isinstance(x, int | float) and x >= 0 for x in given.values())
    if not numbers or not 0 < sum(given.values()) < math.inf:
        raise ValueError(
            f"weights {given} must be numbers of at least 0, not all of them 0, with a finite sum."
        )


def _weights(given: dict, host: HostState, languages: Mapping[str, str]) -> dict[str, float]:
    """Of every domain; those of languages are spread over their domains as these stand now."""
    if not given:
        return {}
    known = sorted(set(languages.values()))
    if set(given) not in (set(languages), set(known)):
        raise ValueError(
            f"weights must name each domain once ({', '.join(languages)}), or each language "
            f"({', '.join(known)})."
        )
    if set(given) != set(languages):
        own = {
            name: sum(host.weights[d] for d in host.weights if languages[d] == name)
            for name in known
        }
        if lost := [name for name in known if given[name] and not own[name]]:
            raise ValueError(
                f"weights give {lost} a share, but all domains of these languages have weight 0 "
                "now; name the domains."
            )
        given = {
            name: given[language] * host.weights.get(name, 0.0) / (own[language] or 1.0)
            for name, language in languages.items()
        }
    total = sum(given.values())
    return {name: given[name] / total for name in languages}


def _check_spans(given: Any) -> None:
    for span in given if isinstance(given, list) else [given]:
        pair = isinstance(span, list) and len(span) == 2
        if not pair or not all(isinstance(edge, int) for edge in span):
            raise ValueError(f"exclude {span} must be FIRST:LAST in sequences.")
        if not 0 <= span[0] < span[1] <= FAR:
            raise ValueError(
                f"exclude {span[0]}:{span[1]} must hold something and end not beyond {FAR}."
            )


def _ranges(given: list, host: HostState) -> list[list[int]]:
    for first, last in given:
        if first < host.sequences:
            raise ValueError(
                f"exclude {first}:{last} must lie ahead of sequence {host.sequences}, where the "
                "run stands."
            )
    return [list(span) for span in given]


def _check_request(given: Any) -> None:
    if given is None:
        return
    if not isinstance(given, dict) or given.get("kind") not in REQUESTS:
        raise ValueError(f"request {given!r} must be one of {', '.join(REQUESTS)}.")
    arguments = given.get("arguments") or {}
    if not isinstance(arguments, dict):
        raise ValueError(f"arguments {arguments!r} of the request must be an object.")
    step = arguments.get("to_step")
    if given["kind"] == "rewind" and not (isinstance(step, int) and step >= 0):
        raise ValueError(f"rewind to step {step!r} must name a step, from 0 on.")


def _request(given: dict | None, host: HostState) -> dict | None:
    if given is None:
        return None
    arguments = {}
    if given["kind"] == "rewind":
        step = given["arguments"]["to_step"]
        if step >= host.step:
            raise ValueError(f"rewind to step {step} must lie before step {host.step}.")
        arguments = {"to_step": step}
    return {"kind": given["kind"], "arguments": arguments}
