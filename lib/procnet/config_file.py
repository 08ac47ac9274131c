"""YAML that a person writes: read, checked against a model, every problem named by its file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unusable:
    """A file or row that does not hold what it must: what is wrong, and by which names (lower case) it may be meant."""

    names: frozenset[str]
    problems: tuple[str, ...]
