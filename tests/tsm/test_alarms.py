import string

from aquila_jax.tsm import alarms


def test_every_kind_has_a_cause_and_a_remedy_in_sentences():
    for kind, texts in alarms.ADVICE.items():
        assert len(texts) == 2, kind
        for text in texts:
            assert text[0].isupper() or text.startswith("{"), kind
            assert text.rstrip().endswith("."), kind
    assert set(alarms.QUIET) <= set(alarms.ADVICE)


def test_words_are_filled_from_the_evidence():
    names = {
        name
        for text in alarms.ADVICE["dead_layer"]
        for _, name, _, _ in string.Formatter().parse(text)
    } - {None}
    assert names == {"layer", "ratio"}
    alarm = alarms.make("dead_layer", 7, confidence=0.95, layer=3, ratio=1e-6)
    assert "Layer 3" in alarm.cause and "1.0e-06" in alarm.cause
    assert alarm.evidence == {"layer": 3, "ratio": 1e-6} and alarm.step == 7


def test_a_lasting_condition_is_told_again_only_after_a_while():
    raised, steps = {}, []
    for step in range(0, 2500, 10):
        dead = [alarms.make("dead_layer", step, confidence=0.9, layer=n, ratio=0.0) for n in (1, 2)]
        raised, left = alarms.fresh(raised, tuple(dead))
        steps += [(alarm.step, alarm.evidence["layer"]) for alarm in left]
    assert steps == [(0, 1), (0, 2), (1000, 1), (1000, 2), (2000, 1), (2000, 2)]


def test_confidence_grows_with_the_deviation():
    values = [alarms.confidence(z) for z in (-1, 0, 1, 4, 6, 100)]
    assert values == sorted(values) and values[0] == 0 and 0.97 < values[4] < values[5] < 1
