"""Laws of the token bucket: nobody gets more than his due, everybody gets it in the end, and memory is bounded."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.layers.buckets import Buckets

RATES = st.floats(0.01, 1000)
BURSTS = st.integers(1, 50)
PAUSES = st.lists(st.floats(0, 30), min_size=1, max_size=200)


@settings(deadline=None)
@given(RATES, BURSTS, PAUSES)
def test_no_span_of_time_has_more_than_the_burst_and_the_rate(rate: float, burst: int, pauses: list[float]) -> None:
    buckets, now, taken = Buckets(rate, burst), 0.0, []
    for pause in pauses:
        now += pause
        if buckets.take("a", now) == 0:
            taken.append(now)

    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + rate * (taken[last] - taken[first]) + 1e-3


@settings(deadline=None)
@given(RATES, BURSTS)
def test_a_full_bucket_gives_the_whole_burst_at_once(rate: float, burst: int) -> None:
    buckets = Buckets(rate, burst)

    waits = [buckets.take("a", 5.0) for _ in range(burst + 1)]

    assert waits[:-1] == [0] * burst
    assert waits[-1] == pytest.approx(1 / rate, rel=1e-3)


@settings(deadline=None)
@given(RATES, BURSTS, PAUSES)
def test_who_waits_as_long_as_told_is_let_in(rate: float, burst: int, pauses: list[float]) -> None:
    buckets, now = Buckets(rate, burst), 0.0
    for pause in pauses:
        now += pause
        wait = buckets.take("a", now)
        if wait:
            now += wait
            assert buckets.take("a", now) == 0


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60))
def test_clients_do_not_share_a_bucket(clients: list[str]) -> None:
    together = Buckets(1, 3)
    alone = {client: Buckets(1, 3) for client in "abc"}

    for client in clients:
        assert together.take(client, 7.0) == alone[client].take(client, 7.0)


@settings(deadline=None)
@given(st.lists(st.integers(0, 1000), max_size=300))
def test_memory_is_bounded_and_the_client_that_was_idle_longest_goes(clients: list[int]) -> None:
    buckets = Buckets(1, 2, most=10)

    for n, client in enumerate(clients):
        buckets.take(str(client), float(n))
        assert len(buckets) <= 10


@settings(deadline=None)
@given(RATES, BURSTS, RATES, BURSTS)
def test_what_a_slower_rate_left_behind_keeps_nobody_waiting(slow: float, few: int, rate: float, burst: int) -> None:
    buckets = Buckets(slow, few)
    for _ in range(few + 1):
        buckets.take("a", 5.0)

    buckets.hold_by(rate, burst)

    assert buckets.take("a", 5.0) <= 1 / rate + 1e-6


def test_a_client_that_was_forgotten_while_idle_has_no_more_than_before() -> None:
    buckets = Buckets(1, 2, most=1)
    assert [buckets.take("a", 0.0) for _ in range(2)] == [0, 0]

    buckets.take("b", 2.0)

    assert [buckets.take("a", 2.0) > 0 for _ in range(3)] == [False, False, True]


def test_no_rate_is_no_limit() -> None:
    buckets = Buckets(0, 1)

    assert not any(buckets.take("a", 0.0) for _ in range(1000))
    assert len(buckets) == 0
