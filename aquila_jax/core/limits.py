"""What the numbers of a setting may be, and the sentence for one that is not."""

from collections.abc import Callable
from typing import Any


def require(
    settings: Any, where: str, *names: str, rule: str, holds: Callable[[float], bool]
) -> None:
    """ValueError for the first of the fields `names` that breaks the rule; NaN breaks each."""
    for name in names:
        value = getattr(settings, name)
        if not holds(value):
            raise ValueError(f"{where}.{name}={value} must be {rule}.")


def positive(settings: Any, where: str, *names: str) -> None:
    """ValueError for the first of the fields `names` that is not above 0."""
    require(settings, where, *names, rule="above 0", holds=lambda value: value > 0)


def at_least(least: int, settings: Any, where: str, *names: str) -> None:
    """ValueError for the first of the fields `names` below `least`."""
    require(settings, where, *names, rule=f"at least {least}", holds=lambda value: value >= least)
