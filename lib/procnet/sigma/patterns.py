"""Refuses patterns of Sigma rules that match a value of the record, but not its canonical value.

A pattern is a text with wildcards, a text with contains, startswith or endswith, or a regular expression. It cannot be
translated as a whole value can (canonical.py), so ValueError says what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pyspark.sql import types as T

from procnet.predicates.interpret import holds
from procnet.predicates.model import All, Any, Not, Predicate
from procnet.predicates.parse import parse_side
from procnet.predicates.wildcard import is_plain, tokens
from procnet.sigma.canonical import FLAGS, HOSTS, REPLACED, is_address, no_address_error
from procnet.vocabulary import ADDRESS_COLUMNS, BLANKS, COMMAND_LINE_COLUMNS, NULL_WORDS, UNKNOWN_PROCESS


def refuse_impossible_text(column: str, text: str, modifiers: Sequence[str]) -> None:
    """Raises ValueError if no value of the column can contain the text, or begin or end with it.

    `text` may have wildcards. One of `modifiers` may be contains, startswith or endswith.
    """
    if text == "":
        raise ValueError("an empty text is in every text")
    if column in FLAGS and (modifiers or text != "*"):
        raise ValueError(f"{text!r}: {column} is spelled in another way than in the record; write true or false")
    plain = "".join(part for wild, part in tokens(text) if not wild)
    if column in ADDRESS_COLUMNS and ":" in plain:
        raise ValueError(f"{text!r}: IPv6 is spelled in another way than in the record; write a network with cidr")
    if column in ADDRESS_COLUMNS and not re.fullmatch(r"[0-9a-fA-F.]*", plain):
        raise ValueError(f"{text!r}: no address contains this text")
    if column == "dest_name" and (":" in plain or (is_plain(text) and is_address(plain))):
        raise no_address_error(column, text)
    if column in COMMAND_LINE_COLUMNS:
        return
    at_start = not {"contains", "endswith"} & {*modifiers}
    at_end = not {"contains", "startswith"} & {*modifiers}
    if (at_start and text[0] in BLANKS) or (at_end and text[-1] in BLANKS):
        raise ValueError(f"{text!r}: values of {column} have no blanks at their ends")
    if column in HOSTS and at_end and text.endswith("."):
        raise ValueError(f"{text!r}: host names end without a dot")


def refuse_replaced_values(key: str, pattern: str) -> None:
    """Raises ValueError if the pattern matches a value of the record, but not the canonical value of the column.

    `key` is a column with modifiers, as a detection file has it.
    """
    column = key.partition("|")[0]
    tree, _ = parse_side({"pattern": {key: pattern}, "condition": "pattern"}, {column: T.StringType()}, "")
    if tree is None:
        return  # its problems are reported when the whole detection is checked
    matches = _matcher(_without_case(tree), column)
    for raw, canonical in REPLACED.get(column, {}).items():
        if matches(raw) and not matches(canonical):
            raise ValueError(f"{pattern!r} matches {raw!r}, for which {column} holds {canonical!r}; write whole values")
    for word in NULL_WORDS:
        if matches(word) and not any(map(matches, _known_texts_like(word))):
            raise ValueError(f"{pattern!r} matches {word!r}, for which {column} holds null; write null")


def _known_texts_like(word: str) -> Iterator[str]:
    """Texts like a null word that a column may hold. A pattern that matches none of them matches only the word."""
    yield "x" * max(1, len(word))
    if word in UNKNOWN_PROCESS:
        # It occurs in no other text, but its parts do: a command line may have a `<`.
        yield from word.partition("unknown process")
    elif word:
        yield from (f"x{word}", f"{word}x", f"x{word}x")


def _matcher(tree: Predicate, column: str) -> Callable[[str], bool]:
    return lambda text: holds(tree, {column: text}) is True


def _without_case(tree: Predicate) -> Predicate:
    """The tree without regard to case, since null words are null in any case."""
    if isinstance(tree, Not):
        return Not(_without_case(tree.part))
    if isinstance(tree, All | Any):
        return replace(tree, parts=tuple(map(_without_case, tree.parts)))
    return replace(tree, value=f"(?i){tree.value}") if tree.op == "re" else replace(tree, cased=False)
