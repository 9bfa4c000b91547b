from aquila_jax.train.clock import Clock


def test_steps_read_after_a_pause_share_what_passed_before_it():
    clock = Clock()
    assert clock.ended(1, 10.0) is None  # nobody knows when it began
    assert clock.ended(2, 12.0) == 2.0
    clock.paused(4, 16.0, 30.0)  # 3 and 4 were in flight
    clock.paused(4, 30.0, 31.0)  # a save after an evaluation
    assert [clock.ended(step, 31.1) for step in (3, 4)] == [2.0, 2.0]
    assert clock.ended(5, 33.0) == 2.0  # from the end of the pause on


def test_where_the_host_is_slow_a_pause_shows_nothing_of_the_steps_it_found_done():
    clock = Clock()
    clock.ended(1, 10.0), clock.ended(2, 12.0)
    clock.paused(4, 12.1, 30.0)  # 3 and 4 were started two and four seconds before
    clock.paused(4, 30.0, 31.0)
    assert [clock.ended(step, at) for step, at in ((3, 33.0), (4, 35.0))] == [None, None]
    assert clock.ended(5, 37.0) is None  # after three starts
    assert clock.ended(6, 39.0) == 2.0


def test_after_a_rewind_nothing_is_known_of_what_was_in_flight_then():
    clock = Clock()
    clock.ended(1, 1.0), clock.ended(2, 2.0)
    clock.paused(1, 3.0, 9.0)
    assert clock.ended(1, 9.1) is None and clock.ended(2, 10.0) == 1.0


def test_a_step_that_begins_within_a_pause_has_no_duration():
    clock = Clock()
    clock.paused(0, 1.0, 5.0)  # a trial before the first step
    clock.paused(0, 5.0, None)  # its compilation, at whose end it may be over
    assert clock.ended(1, 9.0) is None
    assert clock.ended(2, 10.0) == 1.0
