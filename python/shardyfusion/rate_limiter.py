"""Token buckets: so many operations or bytes a second."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from logging import DEBUG
from typing import Protocol, runtime_checkable

from .logging import get_logger, log_event
from .metrics import MetricEvent, MetricsCollector, emit

_logger = get_logger("rate_limiter")


@dataclass(frozen=True, slots=True)
class AcquireResult:
    """True if the tokens were taken; else `deficit` is the seconds until they could be."""

    acquired: bool
    deficit: float = 0.0

    def __bool__(self) -> bool:
        return self.acquired


@runtime_checkable
class RateLimiter(Protocol):
    """Called from several threads where readers and writers have several."""

    def acquire(self, n: int = 1) -> None: ...
    def try_acquire(self, n: int = 1) -> AcquireResult: ...
    async def acquire_async(self, n: int = 1) -> None: ...


class TokenBucket:
    """At most `rate` tokens a second over time, and one second's worth at once. For one thread.

    A request takes its tokens at once, into debt if need be, and waits until the debt is paid. So requests are served in the
    order they came, and one of more than a second's worth takes its time and gets through.

    limiter_type: "ops" or "bytes", for metrics.
    clock, sleep: seconds that only grow, and waiting for them.
    Raises: ValueError unless `rate` is above 0 and finite.
    """

    def __init__(self, rate: float, metrics_collector: MetricsCollector | None = None, limiter_type: str = "ops", *,
                 clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        if not 0 < rate < math.inf:
            raise ValueError(f"a rate is above 0 and finite, given {rate!r}")
        self._rate = float(rate)
        self._tokens = self._rate
        self._metrics = metrics_collector
        self._limiter_type = limiter_type
        self._clock = clock
        self._sleep = sleep
        self._filled_at = clock()

    def acquire(self, n: int = 1) -> None:
        """Returns when `n` tokens are this caller's."""
        if wait := self._reserve(n):
            self._tell_wait(wait)
            try:
                self._sleep(wait)
            except BaseException:
                self._give_back(n)
                raise

    async def acquire_async(self, n: int = 1) -> None:
        """The same, for a task; one that is cancelled while it waits gives its tokens back."""
        if wait := self._reserve(n):
            self._tell_wait(wait)
            try:
                await asyncio.sleep(wait)
            except BaseException:
                self._give_back(n)
                raise

    def try_acquire(self, n: int = 1) -> AcquireResult:
        """Takes `n` tokens if that needs no waiting. Of more than a second's worth a full bucket is enough; the rest is debt."""
        deficit = self._take(n)
        if deficit:
            log_event("rate_limiter_denied", level=DEBUG, logger=_logger, deficit_seconds=deficit, limiter_type=self._limiter_type)
            emit(self._metrics, MetricEvent.RATE_LIMITER_DENIED, deficit_seconds=deficit, limiter_type=self._limiter_type)
        return AcquireResult(not deficit, deficit)

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._rate, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now

    def _reserve(self, n: int) -> float:
        """Takes the tokens; the seconds until they are earned."""
        self._fill()
        self._tokens -= max(n, 0)
        return self._seconds(-self._tokens)

    def _take(self, n: int) -> float:
        """Takes the tokens if they are there; else the seconds until they are."""
        self._fill()
        deficit = self._seconds(min(max(n, 0), self._rate) - self._tokens)
        if not deficit:
            self._tokens -= max(n, 0)
        return deficit

    def _seconds(self, tokens: float) -> float:
        """In which they are earned; below a nanosecond is rounding and none."""
        seconds = tokens / self._rate
        return seconds if seconds > 1e-9 else 0.0

    def _give_back(self, n: int) -> None:
        self._tokens += max(n, 0)

    def _tell_wait(self, wait: float) -> None:
        log_event("rate_limiter_throttled", level=DEBUG, logger=_logger, wait_seconds=wait, limiter_type=self._limiter_type)
        emit(self._metrics, MetricEvent.RATE_LIMITER_THROTTLED, wait_seconds=wait, limiter_type=self._limiter_type)


class ThreadSafeTokenBucket(TokenBucket):
    """TokenBucket for several threads. Its lock is held for arithmetic only, never while waiting."""

    def __init__(self, rate: float, metrics_collector: MetricsCollector | None = None, limiter_type: str = "ops", *,
                 clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(rate, metrics_collector, limiter_type, clock=clock, sleep=sleep)
        self._lock = threading.Lock()

    def _reserve(self, n: int) -> float:
        with self._lock:
            return super()._reserve(n)

    def _take(self, n: int) -> float:
        with self._lock:
            return super()._take(n)

    def _give_back(self, n: int) -> None:
        with self._lock:
            super()._give_back(n)
