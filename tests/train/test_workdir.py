"""What opening the folder of a run refuses, and leaves behind."""

import json

import pytest

from aquila_jax.train.workdir import Workdir
from tests.train import small


def test_a_damaged_configuration_is_named_and_the_folder_is_left_to_others(tmp_path):
    config = small.config(tmp_path / "store")
    (tmp_path / "config.json").write_text('{"name": ')
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(ValueError, match="config.json cannot be read"):
        Workdir(tmp_path, config, writes=True)
    (tmp_path / "config.json").unlink()
    Workdir(tmp_path, config, writes=True).close()


def test_until_the_first_step_the_configuration_may_be_set_right(tmp_path):
    config = small.config(tmp_path / "store")
    other = small.change(config, "model", vocab=64)
    Workdir(tmp_path, other, writes=True).close()
    (tmp_path / "metrics.jsonl").touch()
    Workdir(tmp_path, config, writes=True).close()
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(ValueError, match="another configuration .model.vocab: 512 -> 64"):
        Workdir(tmp_path, other, writes=True)


def test_a_run_may_go_on_with_another_way_to_compute_the_same(tmp_path):
    config = small.config(tmp_path / "store")
    Workdir(tmp_path, config, writes=True).close()
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    for part, settings in (("evaluate", {"rows": 3}), ("train", {"keep": 7})):
        Workdir(tmp_path, small.change(config, part, **settings), writes=True).close()


def test_a_setting_that_an_older_version_did_not_have_has_its_default(tmp_path):
    config = small.config(tmp_path / "store")
    Workdir(tmp_path, config, writes=True).close()
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    saved = json.loads((tmp_path / "config.json").read_text())
    del saved["model"]["scaled_residual_init"]
    (tmp_path / "config.json").write_text(json.dumps(saved))
    scaled = small.change(config, "model", scaled_residual_init=True)
    with pytest.raises(ValueError, match="model.scaled_residual_init: False -> True"):
        Workdir(tmp_path, scaled, writes=True)
    Workdir(tmp_path, config, writes=True).close()
    saved["model"]["abolished"] = 3
    (tmp_path / "config.json").write_text(json.dumps(saved))
    with pytest.raises(ValueError, match="model.abolished: 3 -> None"):
        Workdir(tmp_path, config, writes=True)
