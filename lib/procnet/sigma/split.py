"""Splits the `detection` of a Sigma rule into what it tests of the process and what it tests of the connection.

A Sigma rule tests one record, a detection a pair of process and connection, of which both sections must hold. So the
condition is split at its outermost `and`. Where one `or` or `not` has fields of both, the rule is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any as Anything

from procnet.predicates.condition import parse_condition
from procnet.predicates.model import All, Any, Field, Not, Predicate, leaves
from procnet.sigma.fields import Side, translate

Blocks = dict[str, Anything]
# Name of a block -> section -> the block's content for that section.
_Split = Mapping[str, Mapping[Side, Anything]]


@dataclass(frozen=True)
class Section:
    """A `process` or `network` section: blocks in the spelling of a detection file, and their condition.

    A leaf of `tree` stands for a whole block: a Field with the block's name, and with the side as value once known.
    """

    blocks: Blocks
    tree: Predicate
    condition: str

    def values(self) -> Blocks:
        """The section as a detection file has it."""
        return {**self.blocks, "condition": self.condition}


def split_detection(detection: object, notes: list[str]) -> tuple[dict[Side, Section], list[str]]:
    """The sections of a rule, and the reasons why it cannot be imported; where there are any, there are no sections."""
    if not isinstance(detection, Mapping):
        return {}, ["no detection: there is nothing to import"]
    if "timeframe" in detection:
        return {}, ["timeframe: a rule that counts events within a time is no pair of process and connection"]
    blocks = {str(n): b for n, b in detection.items() if n != "condition"}
    try:
        condition = _condition(detection.get("condition"))
        tree, used = parse_condition(condition, _block_names(condition, blocks))
    except ValueError as e:
        return {}, [str(e)]
    notes += [f"block {n}: the condition does not use it" for n in blocks if n not in used]
    problems: list[str] = []
    split = {n: _split_block(n, b, notes, problems) for n, b in blocks.items() if n in used}
    if problems:
        return {}, problems
    sides: set[Side] = {s for parts in split.values() for s in parts}
    if len(sides) == 1:
        (side,) = sides
        return {side: Section({n: parts[side] for n, parts in split.items()}, tree, condition)}, []
    mappings = {n for n, b in blocks.items() if isinstance(b, Mapping)}
    return _split_condition(_conjuncts(tree, split, mappings), split)


def combined(first: Section | None, second: Section | None) -> Section | None:
    """The section that holds where both do. Blocks of the second whose names are taken get new ones."""
    if first is None or second is None:
        return first or second
    names: dict[str, str] = {}
    for name in second.blocks:
        numbered = (f"{name}_{i}" for i in range(2, 99))
        names[name] = name if name not in first.blocks else next(n for n in numbered if n not in first.blocks)
    tree = _all([first.tree, _renamed(second.tree, names)])
    return Section({**first.blocks, **{names[n]: b for n, b in second.blocks.items()}}, tree, _written(tree))


def _condition(condition: object) -> str:
    if isinstance(condition, list) and len(condition) == 1:
        condition = condition[0]
    if not isinstance(condition, str):
        raise ValueError(f"condition {condition!r}: expected one line; several are several rules")
    for word, reason in (("|", "it counts events"), (" near ", "it looks for events near each other")):
        if word in condition:
            raise ValueError(f"condition {condition!r}: {reason}, and a detection judges one connection at a time")
    return " ".join(condition.split())


def _block_names(condition: str, blocks: Blocks) -> dict[str, Predicate]:
    words = condition.replace("(", " ").replace(")", " ").split()
    hidden = {n for n in blocks if n.startswith("_")}  # `of them` does not include these
    if hidden and "of" in words and hidden & {*words}:
        raise ValueError(f"condition {condition!r}: blocks that begin with _ beside `of`")
    return {n: Field(n, "eq") for n in blocks if n not in hidden or n in words}


def _split_block(name: str, block: object, notes: list[str], problems: list[str]) -> dict[Side, Anything]:
    """The fields of a block that is a mapping, or the mappings of a block that is a list, by side."""
    if isinstance(block, Mapping) and block:
        return {side: dict(tests) for side, tests in _split_fields(name, block, notes, problems).items()}
    if isinstance(block, Sequence) and block and all(isinstance(b, Mapping) and b for b in block):
        parts: dict[Side, Anything] = {}
        for alternative in block:
            by_side = _split_fields(name, alternative, notes, problems)
            if len(by_side) > 1:
                problems.append(f"{name}: one of a list tests process and connection at once")
            for side, tests in by_side.items():
                parts.setdefault(side, []).append(dict(tests))
        return parts
    problems.append(f"{name}: {block!r} are words without a field: a detection does not search whole records")
    return {}


def _split_fields(
    name: str, block: Mapping[str, Anything], notes: list[str], problems: list[str]
) -> dict[Side, list[tuple[str, Anything]]]:
    by_side: dict[Side, list[tuple[str, Anything]]] = {}
    for key, value in block.items():
        try:
            test = translate(key, value, notes)
        except ValueError as e:
            problems.append(f"{name}.{key}: {e}")
            continue
        tests = by_side.setdefault(test.side, [])
        if test.key in dict(tests):
            problems.append(f"{name}.{key}: another test of the block is {test.key} too")
        tests.append((test.key, test.value))
    return by_side


def _split_condition(conjuncts: Sequence[Predicate], split: _Split) -> tuple[dict[Side, Section], list[str]]:
    problems: list[str] = []
    by_side: dict[Side, list[Predicate]] = {"process": [], "network": []}
    for part in conjuncts:
        sides = {leaf.value for leaf in leaves(part)}
        if len(sides) > 1:
            names = ", ".join(sorted({leaf.field for leaf in leaves(part)}))
            problems.append(f"{names}: fields of the process and of the connection stand in one `or` or `not`")
        else:
            by_side["process" if "process" in sides else "network"].append(part)
    if problems:
        return {}, list(dict.fromkeys(problems))
    sections: dict[Side, Section] = {}
    for side, parts in by_side.items():
        tree = _all(parts)
        names_used = dict.fromkeys(leaf.field for leaf in leaves(tree))
        sections[side] = Section({n: split[n][side] for n in names_used}, tree, _written(tree))
    return sections, []


def _conjuncts(tree: Predicate, split: _Split, mappings: set[str]) -> list[Predicate]:
    """The parts that must all hold, each leaf with its side as value. `mappings` are the blocks that are no lists."""
    if isinstance(tree, All):
        return [c for part in tree.parts for c in _conjuncts(part, split, mappings)]
    if isinstance(tree, Not) and isinstance(tree.part, Any):
        return [c for part in tree.part.parts for c in _conjuncts(Not(part), split, mappings)]
    if isinstance(tree, Not) and isinstance(tree.part, Not):
        return _conjuncts(tree.part.part, split, mappings)
    # A mapping holds if all its fields do, and a negated list if none of its mappings does: both can be split.
    if isinstance(tree, Field) and tree.field in mappings:
        return [Field(tree.field, "eq", side) for side in split[tree.field]]
    if isinstance(tree, Not) and isinstance(tree.part, Field) and tree.part.field not in mappings:
        return [Not(Field(tree.part.field, "eq", side)) for side in split[tree.part.field]]
    return [_with_sides(tree, split)]


def _with_sides(tree: Predicate, split: _Split) -> Predicate:
    if isinstance(tree, Field):
        parts = [Field(tree.field, "eq", side) for side in split[tree.field]]
        return parts[0] if len(parts) == 1 else Any(tuple(parts))
    if isinstance(tree, Not):
        return Not(_with_sides(tree.part, split))
    return type(tree)(tuple(_with_sides(p, split) for p in tree.parts))


def _renamed(tree: Predicate, names: Mapping[str, str]) -> Predicate:
    if isinstance(tree, Field):
        return Field(names[tree.field], "eq")
    if isinstance(tree, Not):
        return Not(_renamed(tree.part, names))
    return type(tree)(tuple(_renamed(p, names) for p in tree.parts))


def _all(parts: Sequence[Predicate]) -> Predicate:
    flat = [p for part in parts for p in (part.parts if isinstance(part, All) else (part,))]
    return flat[0] if len(flat) == 1 else All(tuple(flat))


def _written(tree: Predicate) -> str:
    """The tree as a condition."""
    if isinstance(tree, Field):
        return tree.field
    if isinstance(tree, Not):
        return f"not {_in_brackets(tree.part)}"
    return (" and " if isinstance(tree, All) else " or ").join(map(_in_brackets, tree.parts))


def _in_brackets(tree: Predicate) -> str:
    return f"({_written(tree)})" if isinstance(tree, All | Any) else _written(tree)
