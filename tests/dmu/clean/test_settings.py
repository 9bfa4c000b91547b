import dataclasses
import json

import pytest

from aquila_jax.dmu.clean import settings


def test_defaults_survive_json():

    values = json.loads(json.dumps(dataclasses.asdict(settings.Settings())))
    assert settings.from_dict(values) == settings.Settings()


def test_nested_override_and_parts_switched_off():
    made = settings.from_dict({"english": {"words_min": 7}, "chinese": None, "blocked": ["a.com"]})
    assert made.english.words_min == 7 and made.english.words_max == 100_000
    assert made.chinese is None and made.blocked == ("a.com",)


@pytest.mark.parametrize(
    "values, match",
    [
        ({"english": {"word_min": 7}}, "cleaning.english has no setting 'word_min'"),
        ({"quality": 1}, "cleaning has no setting 'quality'"),
        ({"language_share": 1.5}, "language_share=1.5 must be"),
        ({"duplicates": {"jaccard": 0}}, "jaccard=0 must be"),
    ],
)
def test_bad_settings_are_named(values, match):
    with pytest.raises(ValueError, match=match):
        settings.from_dict(values)
