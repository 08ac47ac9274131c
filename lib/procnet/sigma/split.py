"""A Sigma rule's `detection` -> what it asks of the process and what of the connection, each with its own condition.

Sigma asks one record, and a detection asks a pair: both sides must hold. So the rule's condition is taken apart at its
outermost `and`; where one `or` or `not` holds fields of both sides, it cannot be, and the rule is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any as Anything

from procnet.predicates.condition import parse_condition
from procnet.predicates.model import All, Any, Field, Not, Predicate, leaves
from procnet.sigma.fields import Side, translate

Blocks = dict[str, Anything]


@dataclass(frozen=True)
class Half:
    """What is asked of one side: blocks in our spelling, and the condition.

    `tree` is the condition over names of blocks, not over their tests: parse_condition gives back what stands for a
    block, and here that is a Field of the block's name, whose value is its side once that is known.
    """

    blocks: Blocks
    tree: Predicate
    text: str

    def written(self) -> Blocks:
        """As a `process` or `network` section has it."""
        return {**self.blocks, "condition": self.text}


def read_detection(detection: object, notes: list[str]) -> tuple[dict[Side, Half], list[str]]:
    """The sides that a rule asks, and why it cannot be carried; where there is a reason, there are no sides."""
    if not isinstance(detection, Mapping):
        return {}, ["no detection: there is nothing to import"]
    if "timeframe" in detection:
        return {}, ["timeframe: a rule that counts events within a time is no pair of process and connection"]
    blocks = {str(n): b for n, b in detection.items() if n != "condition"}
    try:
        text = _condition(detection.get("condition"))
        tree, used = parse_condition(text, _named(text, blocks))
    except ValueError as e:
        return {}, [str(e)]
    notes += [f"block {n}: the condition does not use it" for n in blocks if n not in used]
    problems: list[str] = []
    split = {n: _split(n, b, notes, problems) for n, b in blocks.items() if n in used}
    if problems:
        return {}, problems
    sides: set[Side] = {s for parts in split.values() for s in parts}
    if len(sides) == 1:
        (only,) = sides
        return {only: Half({n: parts[only] for n, parts in split.items()}, tree, text)}, []
    found: dict[Side, list[Predicate]] = {"process": [], "network": []}
    for part in _conjuncts(tree, split, {n for n, b in blocks.items() if isinstance(b, Mapping)}):
        asked = {leaf.value for leaf in leaves(part)}
        if len(asked) > 1:
            told = ", ".join(sorted({leaf.field for leaf in leaves(part)}))
            problems.append(f"{told}: fields of the process and of the connection stand in one `or` or `not`")
        else:
            found["process" if "process" in asked else "network"].append(part)
    if problems:
        return {}, list(dict.fromkeys(problems))
    halves: dict[Side, Half] = {}
    for side, parts in found.items():
        whole = _all(parts)
        names = dict.fromkeys(leaf.field for leaf in leaves(whole))
        halves[side] = Half({n: split[n][side] for n in names}, whole, _told(whole))
    return halves, []


def both(one: Half | None, other: Half | None) -> Half | None:
    """What both ask of one side; a block of the other's whose name is taken gets a new one."""
    if one is None or other is None:
        return one or other
    renamed = {n: n if n not in one.blocks else next(m for i in range(2, 99) if (m := f"{n}_{i}") not in one.blocks)
               for n in other.blocks}  # fmt: skip
    tree = _all([one.tree, _renamed(other.tree, renamed)])
    return Half({**one.blocks, **{renamed[n]: b for n, b in other.blocks.items()}}, tree, _told(tree))


def _condition(condition: object) -> str:
    if isinstance(condition, list) and len(condition) == 1:
        condition = condition[0]
    if not isinstance(condition, str):
        raise ValueError(f"condition {condition!r}: one line is wanted; several are several rules")
    for word, why in (("|", "it counts events"), (" near ", "it asks for events near each other")):
        if word in condition:
            raise ValueError(f"condition {condition!r}: {why}, and a detection judges one connection at a time")
    return " ".join(condition.split())


def _named(text: str, blocks: Blocks) -> dict[str, Predicate]:
    words = text.replace("(", " ").replace(")", " ").split()
    hidden = {n for n in blocks if n.startswith("_")}  # `of them` passes over these
    if hidden and "of" in words and hidden & {*words}:
        raise ValueError(f"condition {text!r}: blocks that begin with _ beside `of`")
    return {n: Field(n, "eq") for n in blocks if n not in hidden or n in words}


def _split(name: str, block: object, notes: list[str], problems: list[str]) -> dict[Side, Anything]:
    """A block's parts by side: of a mapping its fields, of a list its mappings."""
    if isinstance(block, Mapping) and block:
        return {s: dict(kv) for s, kv in _items(name, block, notes, problems).items()}
    if isinstance(block, Sequence) and block and all(isinstance(b, Mapping) and b for b in block):
        found: dict[Side, Anything] = {}
        for alternative in block:
            parts = _items(name, alternative, notes, problems)
            if len(parts) > 1:
                problems.append(f"{name}: one of a list asks for process and connection at once")
            for side, items in parts.items():
                found.setdefault(side, []).append(dict(items))
        return found
    problems.append(f"{name}: {block!r} are words without a field: nothing here searches all of a record")
    return {}


def _items(
    name: str, block: Mapping[str, Anything], notes: list[str], problems: list[str]
) -> dict[Side, list[tuple[str, Anything]]]:
    found: dict[Side, list[tuple[str, Anything]]] = {}
    for key, value in block.items():
        try:
            item = translate(key, value, notes)
        except ValueError as e:
            problems.append(f"{name}.{key}: {e}")
            continue
        items = found.setdefault(item.side, [])
        if item.key in dict(items):
            problems.append(f"{name}.{key}: another test of the block is {item.key} too")
        items.append((item.key, item.value))
    return found


def _conjuncts(tree: Predicate, split: Mapping[str, Mapping[Side, Anything]], joined: set[str]) -> list[Predicate]:
    """The parts that must all hold, each leaf with the mark of its side; `joined` are the blocks that are no lists."""
    if isinstance(tree, All):
        return [c for part in tree.parts for c in _conjuncts(part, split, joined)]
    if isinstance(tree, Not) and isinstance(tree.part, Any):
        return [c for part in tree.part.parts for c in _conjuncts(Not(part), split, joined)]
    if isinstance(tree, Not) and isinstance(tree.part, Not):
        return _conjuncts(tree.part.part, split, joined)
    # `a` of a mapping is all of its fields, and `not a` of a list is none of its mappings: these two come apart.
    if isinstance(tree, Field) and tree.field in joined:
        return [Field(tree.field, "eq", s) for s in split[tree.field]]
    if isinstance(tree, Not) and isinstance(tree.part, Field) and tree.part.field not in joined:
        return [Not(Field(tree.part.field, "eq", s)) for s in split[tree.part.field]]
    return [_marked(tree, split)]


def _marked(tree: Predicate, split: Mapping[str, Mapping[Side, Anything]]) -> Predicate:
    if isinstance(tree, Field):
        marks = [Field(tree.field, "eq", s) for s in split[tree.field]]
        return marks[0] if len(marks) == 1 else Any(tuple(marks))
    if isinstance(tree, Not):
        return Not(_marked(tree.part, split))
    return type(tree)(tuple(_marked(p, split) for p in tree.parts))


def _renamed(tree: Predicate, names: Mapping[str, str]) -> Predicate:
    if isinstance(tree, Field):
        return Field(names[tree.field], "eq")
    if isinstance(tree, Not):
        return Not(_renamed(tree.part, names))
    return type(tree)(tuple(_renamed(p, names) for p in tree.parts))


def _all(parts: Sequence[Predicate]) -> Predicate:
    flat = [p for part in parts for p in (part.parts if isinstance(part, All) else (part,))]
    return flat[0] if len(flat) == 1 else All(tuple(flat))


def _told(tree: Predicate) -> str:
    if isinstance(tree, Field):
        return tree.field
    if isinstance(tree, Not):
        return f"not {_wrapped(tree.part)}"
    return (" and " if isinstance(tree, All) else " or ").join(map(_wrapped, tree.parts))


def _wrapped(tree: Predicate) -> str:
    return f"({_told(tree)})" if isinstance(tree, All | Any) else _told(tree)
