import pytest

from aquila_jax.dmu.clean import language

TEXTS = {
    "en": "The committee met on Tuesday to discuss what had happened and who should pay for it.",
    "zh": "委员会在星期二开会，讨论了已经发生的事情以及谁应该为此付款的问题。" * 2,
    "fr": "Le comité s'est réuni mardi pour discuter de ce qui s'était passé et de la suite.",
    "ru": "Комитет собрался во вторник, чтобы обсудить случившееся и решить, кто заплатит.",
}


@pytest.mark.parametrize("tongue", TEXTS)
def test_names_the_language(tongue):
    found, share = language.identify(TEXTS[tongue])
    assert found == tongue and share > 0.9


def test_mixed_text_shares_are_of_the_text():
    found, share = language.identify(TEXTS["zh"] * 3 + TEXTS["en"])
    assert found == "zh" and share < 0.95


@pytest.mark.parametrize("text", ["", "12 34", "\x00\x01", "\ud800"])
def test_nothing_to_go_by(text):
    assert language.identify(text) == ("", 0.0)


def test_script():
    assert language.script("這個國家的學問與書籍") == "Hant"
    assert language.script("这个国家的学问与书籍") == "Hans"
    assert language.script("人山大") == "Hans"
