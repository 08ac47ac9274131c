"""Retries of commits that conflict with another writer's."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from procnet.errors import Overtaken

A = TypeVar("A")

TRIES = 6  # the pauses before the sixth try add up to at most half a minute


def is_conflict(error: Exception) -> bool:
    """Whether a write lost against another writer's and may be repeated: by Delta's error for a commit, or ours."""
    if isinstance(error, Overtaken):
        return True
    text = f"{type(error).__name__}: {error}"
    return "DELTA_CONCURRENT" in text or "io.delta.exceptions.Concurrent" in text


def retry_on_conflict(write: Callable[[int], A]) -> A:
    """Result of `write`, which is repeated as a whole when its commit conflicts, up to `TRIES` times in all.

    `write` gets the number of conflicts so far. Pauses between tries have a random length, so that two writers do not
    conflict again. Raises the error of the last try, or the first one that is no conflict.
    """
    for conflicts in range(TRIES):
        try:
            return write(conflicts)
        except Exception as e:
            if not is_conflict(e) or conflicts + 1 == TRIES:
                raise
            time.sleep(random.uniform(0.2, 1.0) * 2**conflicts)
    raise AssertionError("the last try returns or raises")
