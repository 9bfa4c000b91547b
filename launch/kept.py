"""What a study has measured so far: a JSON file that its next call reads again."""

import json
import pathlib
from typing import Any

from aquila_jax.core import files


def read(path: pathlib.Path, otherwise: Any) -> Any:
    """What was kept there; `otherwise` if nothing was."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else otherwise


def write(path: pathlib.Path, value: Any) -> None:
    """A study that is stopped leaves the old file or the new one."""
    files.write(path, json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n")
