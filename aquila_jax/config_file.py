"""A configuration from its file and the settings on the command line."""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from aquila_jax import config as configuration
from aquila_jax.config import Config


def load_config(path: str, settings: list[str]) -> Config:
    """The configuration in `path` with `--config.key=value` overrides."""
    if not Path(path).is_file():
        raise ValueError(f"--config={path} is no file; the ones that come along are in configs/.")
    holder = flags.FlagValues()
    line = ["aquila_jax", f"--config={path}", *settings]
    config_flags.DEFINE_config_file("config", flag_values=holder, sys_argv=line)
    try:
        left = holder(line)
    except (AttributeError, KeyError, TypeError, flags.Error) as error:
        raise ValueError(f"{' '.join(settings)} does not fit {path}: {error}") from error
    if left[1:]:
        raise ValueError(f"{left[1:]} is not understood; settings read --config.key=value.")
    return configuration.from_config_dict(holder.config)
