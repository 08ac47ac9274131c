"""Commits of several writers that meet: what was in vain is done again over what the other one left."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

A = TypeVar("A")

TRIES = 6  # the sixth has waited half a minute in all


def is_conflict(error: Exception) -> bool:
    """Whether a commit failed since another writer's was first: it may be tried again, over what that one left."""
    said = f"{type(error).__name__}: {error}"
    return "DELTA_CONCURRENT" in said or "io.delta.exceptions.Concurrent" in said


def retry_on_conflict(attempt: Callable[[int], A]) -> A:
    """What `attempt` returns, tried again as a whole while its commit meets another's; it is told how often it has.

    Between tries is a pause of random length, so that the two do not meet again. Raises what the last try raised.
    """
    for conflicts in range(TRIES):
        try:
            return attempt(conflicts)
        except Exception as e:
            if not is_conflict(e) or conflicts + 1 == TRIES:
                raise
            time.sleep(random.uniform(0.2, 1.0) * 2**conflicts)
    raise AssertionError("the last try returns or raises")
