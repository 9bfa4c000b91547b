import collections

from launch import runs_study


def test_no_combination_is_in_both_halves_and_each_half_has_all_kinds():
    names = list(runs_study.runs())
    assert names == sorted(names) and len(set(names)) == 40
    halves = [list(runs_study.runs().values())[half::2] for half in (0, 1)]
    first, second = ({one[:3] for one in half} for half in halves)
    assert not first & second
    for place in range(3):
        counts = [collections.Counter(one[place] for one in half) for half in halves]
        assert counts[0] == counts[1]


def test_a_run_is_what_its_name_says():
    config = runs_study.config_of("store", "wsd20", "small", mixture="natural", seed=2)
    assert config.name == "wsd20-small-natural-2"
    assert (config.schedule.kind, config.schedule.decay_fraction) == ("wsd", 0.2)
    assert (config.data.mixture, config.data.seed, config.train.seed) == ("natural", 2, 2)
    assert config.schedule.total * config.data.length == 1_024_000
    assert config.mentor.mode == "shadow"
