"""Parts of the package that need libraries which not every installation has."""

import importlib
from types import ModuleType


def load(module: str, purpose: str) -> ModuleType:
    """The module; ValueError with the way out if a library that it needs is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = (error.name or str(error)).partition(".")[0]
        raise ValueError(
            f"{purpose} needs the package {package}, which is not installed: "
            "pip install -e '.[clean]'."
        ) from error
