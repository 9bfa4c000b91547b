"""What a study has measured so far: a JSON file that its next call reads again."""

import json
import os
import pathlib
from typing import Any


def read(path: pathlib.Path, otherwise: Any) -> Any:
    """What was kept there; `otherwise` if nothing was."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else otherwise


def write(path: pathlib.Path, value: Any) -> None:
    """Under a temporary name first: a study that is stopped leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    text = json.dumps(value, ensure_ascii=False, indent=1)
    unfinished.write_text(text + "\n", encoding="utf-8")
    os.replace(unfinished, path)
