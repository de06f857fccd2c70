"""Token buckets on a clock of the tests' own: nothing here waits but where threads are the point."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardyfusion import MetricEvent, RateLimiter, ThreadSafeTokenBucket, TokenBucket
from shardyfusion.testing import ListMetricsCollector


class Clock:
    def __init__(self):
        self.now = 100.0
        self.waits = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture(params=[TokenBucket, ThreadSafeTokenBucket])
def kind(request):
    return request.param


def bucket_of(kind, rate, **more):
    clock = Clock()
    return kind(rate, clock=clock, sleep=clock.sleep, **more), clock


def test_a_second_of_tokens_is_free_and_the_next_costs_time(kind):
    bucket, clock = bucket_of(kind, 10)
    for _ in range(10):
        bucket.acquire()
    assert clock.waits == []
    bucket.acquire(5)
    assert clock.waits == [0.5]


def test_a_request_of_more_than_a_seconds_worth_gets_through_in_its_time(kind):
    bucket, clock = bucket_of(kind, 10)
    bucket.acquire(11)
    assert clock.waits == pytest.approx([0.1])
    bucket.acquire(1050)
    assert clock.waits[1:] == pytest.approx([105])
    assert not bucket.try_acquire(1)


def test_a_full_bucket_is_enough_for_a_big_request_that_does_not_wait_and_the_rest_is_debt(kind):
    bucket, clock = bucket_of(kind, 10)
    assert bucket.try_acquire(30)
    refused = bucket.try_acquire(1)
    assert not refused and refused.deficit == pytest.approx(2.1)
    clock.now += 2.1
    assert bucket.try_acquire(1)


def test_a_refusal_takes_nothing(kind):
    bucket, clock = bucket_of(kind, 10)
    assert bucket.try_acquire(8)
    for _ in range(5):
        assert bucket.try_acquire(3).deficit == pytest.approx(0.1)
    assert bucket.try_acquire(2) and bucket.try_acquire(0)


@given(st.floats(0.1, 1e6), st.lists(st.tuples(st.integers(0, 10**7), st.floats(0, 10)), max_size=50))
def test_never_more_than_a_seconds_worth_beyond_the_rate(rate, requests):
    bucket, clock = bucket_of(TokenBucket, rate)
    taken = 0
    for n, pause in requests:
        clock.now += pause
        bucket.acquire(n)
        taken += n
        assert taken <= rate * (1 + clock.now - 100.0) * (1 + 1e-9) + 1e-3


def test_waits_and_refusals_are_counted(kind):
    collector = ListMetricsCollector()
    bucket, _ = bucket_of(kind, 2, metrics_collector=collector, limiter_type="bytes")
    bucket.acquire(3)
    bucket.try_acquire(1)
    assert collector.named(MetricEvent.RATE_LIMITER_THROTTLED) == [{"wait_seconds": 0.5, "limiter_type": "bytes"}]
    assert collector.named(MetricEvent.RATE_LIMITER_DENIED) == [{"deficit_seconds": 0.5, "limiter_type": "bytes"}]


def test_a_task_waits_and_a_cancelled_one_gives_its_tokens_back(kind):
    bucket, clock = bucket_of(kind, 10)

    async def run():
        await bucket.acquire_async(10)
        waiting = asyncio.create_task(bucket.acquire_async(1000))
        await asyncio.sleep(0)
        assert bucket.try_acquire(1).deficit == pytest.approx(100.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        clock.now += 0.1
        await bucket.acquire_async(1)
        quick = kind(1e9)
        await quick.acquire_async(10**9 + 10**6)

    asyncio.run(run())


def test_an_interrupted_wait_gives_its_tokens_back(kind):
    clock = Clock()

    def interrupted(seconds):
        raise KeyboardInterrupt

    bucket = kind(10, clock=clock, sleep=interrupted)
    with pytest.raises(KeyboardInterrupt):
        bucket.acquire(1000)
    assert bucket.try_acquire(10)


def test_threads_together_get_no_more_than_one_would():
    clock = Clock()
    waits = []
    bucket = ThreadSafeTokenBucket(100, clock=clock, sleep=waits.append)
    threads = [threading.Thread(target=lambda: [bucket.acquire(3) for _ in range(200)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(waits) == pytest.approx((8 * 200 * 3 - 100) / 100)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(kind, rate):
    with pytest.raises(ValueError, match="above 0"):
        kind(rate)


def test_both_are_rate_limiters(kind):
    assert isinstance(kind(1), RateLimiter)
