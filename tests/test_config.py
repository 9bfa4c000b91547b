"""What a configuration refuses by itself, in a sentence."""

import pytest

from aquila_jax.config import Config, build
from aquila_jax.config_file import load_config
from configs import tiny

BEYOND = {
    "data.length": 0,
    "data.sample_megabytes": -1.0,
    "evaluate.heldout_tokens": 0,
    "evaluate.rows": 0,
    "evaluate.shots": -1,
    "mentor.rewinds": -1,
    "mentor.snapshots": 0,
    "mentor.target_loss": -1.0,
    "optimizer.b1": 1.0,
    "optimizer.b2": -0.1,
    "optimizer.clip_norm": 0.0,
    "optimizer.eps": 0.0,
    "optimizer.weight_decay": -0.1,
    "schedule.decay_fraction": 1.5,
    "schedule.floor": 1.5,
    "schedule.peak": 0.0,
    "train.checkpoint_every": -1,
    "train.evaluate_every": -1,
    "train.heavy_every": 0,
    "train.keep": 0,
    "train.keep_every": -1,
    "train.lag": -1,
    "train.stall_seconds": 0.0,
    "train.z_loss": -1e-4,
}


def numbers(settings: dict, where: str = ""):
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{where}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{where}{key}"


def configured(path: str, value):
    settings = tiny.get_config().to_dict()
    *parts, name = path.split(".")
    inner = settings
    for part in parts:
        inner = inner[part]
    inner[name] = value
    return build(Config, settings, "config")


@pytest.mark.parametrize(("path", "value"), BEYOND.items())
def test_a_number_beyond_its_limits_is_refused(path, value):
    with pytest.raises(ValueError, match=rf"{path}={value} must be (at least|above|from) \d"):
        configured(path, value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**30, True])
def test_every_number_is_finite_and_none_is_a_yes_or_no(value):
    for path in numbers(tiny.get_config().to_dict()):
        with pytest.raises(ValueError, match=rf"config\.{path}={value!r} must be (a num|of type)"):
            configured(path, value)


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # of ml_collections
def test_a_tokenizer_can_be_named_on_the_command_line():
    made, plain = (load_config(tiny.__file__, line) for line in
                   (["--config.prepare.tokenizer=a/b.model"], []))  # fmt: skip
    assert made.prepare.tokenizer == "a/b.model" and plain.prepare.tokenizer is None


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # of ml_collections
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.weights.en", "there is no 'en'$"),
        ("train.bacth", "there is no 'bacth'; Did you mean"),
    ],
)
def test_a_setting_that_does_not_exist_is_named(setting, message):
    with pytest.raises(ValueError, match=message):
        load_config(tiny.__file__, [f"--config.{setting}=1"])
