import dataclasses
import json

import pytest

from aquila_jax.config import build, to_config_dict
from aquila_jax.dmu.clean.settings import Duplicates, Settings, shaping


def test_the_door_of_the_configuration_takes_every_threshold():
    values = json.loads(json.dumps(to_config_dict(Settings()).to_dict()))
    assert build(Settings, values, "clean") == Settings()
    values["english"]["words_min"], values["chinese"] = 7, None
    made = build(Settings, values, "clean")
    assert made.english.words_min == 7 and made.english.words_max == 100_000
    assert made.chinese is None
    values["english"]["word_min"] = 7
    with pytest.raises(ValueError, match="clean.english.word_min does not exist; did you mean"):
        build(Settings, values, "clean")


def test_where_and_how_it_is_made_does_not_shape_what_comes_out():
    other = dataclasses.replace(Settings(), folder="elsewhere", engine="ray")
    assert shaping(other) == shaping(Settings())
    assert shaping(dataclasses.replace(other, languages=("en",))) != shaping(Settings())


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: Settings(language_share=1.5), "language_share=1.5 must be"),
        (lambda: Settings(duplicates=Duplicates(jaccard=0)), "jaccard=0 must be"),
        (lambda: Settings(shard_characters=0), "shard_characters=0 must be"),
    ],
)
def test_bad_settings_are_named(make, match):
    with pytest.raises(ValueError, match=match):
        make()
