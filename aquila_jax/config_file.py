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
    except Exception as error:  # a configuration is a program: it may raise anything
        given = " ".join([path, *settings])
        raise ValueError(f"{given} makes no configuration: {_told(error)}") from error
    if holder.config is None:
        raise ValueError(f"{path}: get_config returns nothing; it must return a ConfigDict.")
    if left[1:]:
        raise ValueError(f"{left[1:]} is not understood; settings read --config.key=value.")
    return configuration.from_config_dict(holder.config)


def _told(error: Exception) -> str:
    """What went wrong, in a line."""
    while error.args and isinstance(error.args[0], Exception):  # ml_collections wraps a KeyError
        error = error.args[0]
    if isinstance(error, KeyError) and error.args:  # its text is a quotation of the key
        return f"there is no {'; '.join(str(error.args[0]).splitlines())}"
    return (str(error).strip() or type(error).__name__).splitlines()[-1]
