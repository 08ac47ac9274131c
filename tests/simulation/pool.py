"""A pool of threads whose tasks the scheduler chooses, in place of `concurrent.futures.ThreadPoolExecutor`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from simulation.scheduler import Scheduler


class Future:
    """The result of one call."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.is_started = self.is_done = self.is_cancelled = False
        self.value: Any = None
        self.error: BaseException | None = None

    def result(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


class Pool:
    """Runs up to `workers` calls at once, as tasks of the process that made the pool."""

    def __init__(self, scheduler: Scheduler, workers: int) -> None:
        self._scheduler, self._workers, self._active = scheduler, workers, 0
        self._futures: list[Future] = []

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def submit(self, function: Callable[[Any], Any], argument: Any) -> Future:
        future = Future(self._scheduler)
        self._futures.append(future)
        running = self._scheduler.running
        assert running is not None, "a pool works inside of a run only"

        def call() -> None:
            try:
                self._scheduler.wait_until(lambda: self._active < self._workers)
                if future.is_cancelled:
                    return
                self._active += 1
                future.is_started = True
                try:
                    future.value = function(argument)
                finally:
                    self._active -= 1
            except BaseException as e:
                future.error = e
            finally:
                future.is_done = True

        self._scheduler.spawn(running.process, call)
        return future

    def shutdown(self, *, wait: bool, cancel_futures: bool) -> None:
        for future in self._futures:
            future.is_cancelled = not future.is_started
        self._scheduler.wait_until(lambda: all(f.is_done for f in self._futures))


def as_completed(futures: Iterable[Future]) -> Iterator[Future]:
    """Yields futures as they are done."""
    left = list(futures)
    while left:
        left[0].scheduler.wait_until(lambda: any(f.is_done for f in left))
        for future in [f for f in left if f.is_done]:
            left.remove(future)
            yield future
