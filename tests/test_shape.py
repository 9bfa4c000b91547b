"""The shape of the project, held by reading its source: who imports whom, what is pure, how long."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "aquila_jax").rglob("*.py"))
RANKS = {
    "core": 0,
    **dict.fromkeys(("model", "dmu", "tsm", "ate", "checkpoint", "report"), 1),
    **dict.fromkeys(("config", "scale", "quantize", "hf", "evaluate"), 2),
    "config_file": 3,
    "plan": 3,
    "train": 4,
    "verbs": 5,
    "cli": 6,
    "__main__": 7,
    "__init__": 7,
}
PURE = ("core", "model", "ate", "tsm", "scale", "quantize", "train/step.py", "train/cycle.py")
IMPURE = {"os", "time", "logging", "random", "pathlib", "absl"}


def name_of(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT / "aquila_jax"))


def area(path: pathlib.Path) -> str:
    return path.relative_to(ROOT / "aquila_jax").with_suffix("").parts[0]


def imports(tree: ast.Module):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_keeps_to_the_rules(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert text.count("\n") <= 250, "a file holds one idea: split it"
    for name in imports(tree):
        if name.startswith("aquila_jax.") and name.count(".") == 1:
            other = name.split(".")[1]
            lower = RANKS[other] < RANKS[area(path)]
            assert lower or other == area(path), f"{name} is not below {area(path)}"
        rim = name_of(path) in {"core/files.py", "core/journal.py"}
        if name_of(path).startswith(PURE) and not rim:
            assert name.split(".")[0] not in IMPURE, f"{name} does not belong in the pure core"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 50, f"{node.name} is too long"
            inner = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
            assert not inner, f"{node.name} imports inside"
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "dataclass":
            frozen = [word.value.value for word in node.keywords if word.arg == "frozen"]
            assert frozen == [True], "state is a frozen value"


def test_no_file_is_named_for_nothing():
    vague = {"utils", "common", "helpers", "manager", "handler", "misc"}
    assert not [path for path in FILES if path.stem in vague]
