"""Every file of configs/ builds, says how it is run, and is the published model."""

import importlib.util
import pathlib

import pytest

from aquila_jax.config_file import load_config
from aquila_jax.model.config import parameters
from configs import aquila2_7b, aquila2_34b

# ml_collections loads a configuration by a method that Python will drop.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
FILES = sorted(pathlib.Path("configs").glob("[a-z]*.py"))
PUBLISHED = {"aquila2_7b": 7.296, "aquila2_34b": 33.69, "aquila2_70b": 70.09}
BATCH_TOKENS = {"aquila2_7b": 3.54e6, "aquila2_34b": 4.19e6, "aquila2_70b": 4.33e6}
PHASES = {
    "aquila2_7b": [0, 1000e9], "aquila2_34b": [0, 523e9, 1576e9], "aquila2_70b": [0, 203e9, 922e9],
}  # fmt: skip
HORIZON = {"aquila2_7b": 2.05e12, "aquila2_34b": 2.0e12, "aquila2_70b": 2.0e12}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_config_builds_and_says_how_it_is_run(file):
    config = load_config(str(file), [])
    assert config.name == file.stem
    found = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    for word in ("Run:", "Hardware:", "Time:", "Result:"):
        assert word in module.__doc__, f"{file} does not tell its {word}"
    assert file.name in module.__doc__ or file.stem == "tiny"


@pytest.mark.parametrize("name", PUBLISHED)
def test_aquila2_is_the_published_one(name):
    config = load_config(f"configs/{name}.py", [])
    digits = len(str(PUBLISHED[name]).partition(".")[2])
    assert round(parameters(config.model) / 1e9, digits) == PUBLISHED[name]
    assert config.train.batch * config.data.length == pytest.approx(BATCH_TOKENS[name], rel=0.04)
    assert config.schedule.total * config.data.length == pytest.approx(HORIZON[name], rel=2e-3)
    assert config.model.vocab == config.prepare.vocab_size


@pytest.mark.parametrize("name", PUBLISHED)
def test_shares_sum_to_one_hundred_over_the_sources(name):
    config = load_config(f"configs/{name}.py", [])
    for phase in config.data.phases:
        assert sum(phase.weights.values()) == pytest.approx(100)
        assert set(phase.weights) == {source.name for source in config.prepare.sources}
    web = [share for name, share in config.data.phases[0].weights.items() if name.startswith("web")]
    assert sum(web) == pytest.approx(82)
    begins = [phase.tokens for phase in config.data.phases]
    assert begins == PHASES[name]


@pytest.mark.parametrize("config", [aquila2_7b, aquila2_34b])
def test_domains_stand_in_the_order_of_their_kinds(config):
    """In the same one on every host: a sum in another order may differ in its last bit."""
    for shares in config.PHASES.values():
        kinds = [
            name.removesuffix("_en").removesuffix("_zh") for name in config.by_language(shares)
        ]
        assert list(dict.fromkeys(kinds)) == list(shares)


def test_bucket_is_the_users(monkeypatch):
    monkeypatch.setenv("BUCKET", "gs://mine")
    config = load_config("configs/aquila2_7b.py", [])
    assert config.data.store == "gs://mine/store"
    assert all(source.paths[0].startswith("gs://mine/") for source in config.prepare.sources)
