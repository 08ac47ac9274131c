"""A predicate in words, made of the nodes that are evaluated, so that text and meaning cannot diverge."""

from __future__ import annotations

from procnet.predicates.model import All, Field, Not, Predicate

_WORDS = {
    "eq": "is", "contains": "contains", "startswith": "starts with", "endswith": "ends with", "glob": "is like",
    "re": "matches", "cidr": "lies in", "gt": "is above", "gte": "is at least", "lt": "is below", "lte": "is at most",
    "fieldref": "is the same as",
}  # fmt: skip


def describe(predicate: Predicate) -> str:
    """The predicate in words: `process_name is msiexec.exe or original_file_name is msiexec.exe`."""
    if isinstance(predicate, Field):
        if predicate.op == "isnull":
            return f"{predicate.field} is unknown"
        value = "a non-public network" if predicate.value == "@non_public" else predicate.value
        return f"{predicate.field} {_WORDS[predicate.op]} {value}{' (case counts)' if predicate.cased else ''}"
    if isinstance(predicate, Not):
        return f"not ({describe(predicate.part)})"
    word = " and " if isinstance(predicate, All) else " or "
    return word.join(f"({describe(p)})" if not isinstance(p, Field | Not) else describe(p) for p in predicate.parts)
