r"""Regular expressions of detections: those that Java and Python read alike, and that no text of a record can stop.

Spark evaluates them with Java's engine, row by row, on text that an attacker may have written. There a repeated group
whose content varies in length has two faults (measured on Java 17): `(a+){12}$` takes minutes on 100 characters, and
`(a|b)*$` overflows the stack on 32,000, which ends the executor. Neither can be caught per row.
"""

from __future__ import annotations

import re
import warnings

from procnet.config_file import shortened

_LONGEST = 4096  # characters; Java compiles some 1,200 nested groups before its stack overflows
_DEEPEST = 32
_MOST_UNBOUNDED = 8  # repeats without an upper bound: each may try every length, for each length of the one before
_MOST_VARIANTS = 256  # of a repeated group that repeats, such as `(\d{1,3}\.){3}`: 9

# The tokens that mean the same in both; `foreign` is every other character.
_TOKEN = re.compile(
    r"""(?P<escape> \\(?: [dDwWsSbBtnrfa1-9] | x[0-9a-fA-F]{2} | [^a-zA-Z0-9] ) )
      | (?P<class> \[ \^? \]? (?: \\(?: [dDwWsStnrfa] | x[0-9a-fA-F]{2} | [^a-zA-Z0-9] ) | & (?!&) | [^\]\[\\&] )* \] )
      | (?P<open> \( (?! [?*+{] ) | \(\? (?: : | = | ! | <= | <! | [ims]+ : ) )
      | (?P<flags> \(\? [ims]+ \) )
      | (?P<close> \) )
      | (?P<repeat> (?: [*+?] | \{ (?P<least> [0-9]+ ) (?P<range> , (?P<most> [0-9]+ )? )? \} ) \?? (?![*+?{]) )
      | (?P<either> \| )
      | (?P<plain> [^\\\[(){*+?|] )
      | (?P<foreign> .[?<:=!P&\[]*.? )""",
    re.VERBOSE | re.DOTALL,
)


def check_regex(pattern: str) -> None:
    """ValueError for a pattern that is not valid, that Java may read otherwise, or that may run without end."""
    if len(pattern) > _LONGEST:
        raise ValueError(f"a regular expression of {len(pattern)} characters: at most {_LONGEST} are accepted")
    tokens = list(_TOKEN.finditer(pattern))
    depth = deepest = 0
    for token in tokens:
        depth += (token.lastgroup == "open") - (token.lastgroup == "close")
        deepest = max(deepest, depth)
    if deepest > _DEEPEST:
        raise ValueError(f"{shortened(pattern)}: more than {_DEEPEST} brackets in each other")
    if foreign := next((t for t in tokens if t.lastgroup == "foreign"), None):
        raise ValueError(
            f"{shortened(pattern)}: {foreign[0]!r} differs between Java and Python; use their common subset, and \\ "
            "before a character that stands for itself"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sets whose meaning may change; `_TOKEN` has those that matter
            re.compile(pattern)
    except (re.error, ArithmeticError, RecursionError) as e:
        raise ValueError(f"{shortened(pattern)} is no regular expression: {e}") from None
    _check_repeats(pattern, tokens)


def _check_repeats(pattern: str, tokens: list[re.Match[str]]) -> None:
    """ValueError where a group that is repeated varies in length, so that a text can be divided in too many ways."""
    variants, closed, unbounded = [1], 1, 0  # of each open group: in how many ways it can match; of the last one closed
    for token in tokens:
        kind = token.lastgroup
        if kind == "open":
            variants.append(1)
        elif kind == "close":
            closed = variants.pop()
            variants[-1] = min(variants[-1] * closed, _MOST_VARIANTS + 1)
            continue
        elif kind == "either":
            variants[-1] = max(variants[-1], 2)
        elif kind == "repeat":
            least, most = _bounds(token)
            unbounded += most is None
            if closed > 1 and most != 1 and (most is None or closed * most > _MOST_VARIANTS):
                raise ValueError(
                    f"{shortened(pattern)}: {token[0]!r} repeats a group that varies in length, which may never end on "
                    "some texts: repeat single characters as in [ab]*, write several values, or lower its bounds"
                )
            variants[-1] = min(
                variants[-1] * (_MOST_VARIANTS if most is None else most - least + 1), _MOST_VARIANTS + 1
            )
        closed = 1
    if unbounded > _MOST_UNBOUNDED:
        raise ValueError(
            f"{shortened(pattern)}: {unbounded} repeats without an upper bound, at most {_MOST_UNBOUNDED} are accepted"
        )


def _bounds(token: re.Match[str]) -> tuple[int, int | None]:
    """The least and the most times of a repeat, None without a bound."""
    if token["least"] is None:
        sign = token[0][0]
        return int(sign == "+"), 1 if sign == "?" else None
    least = int(token["least"])
    if token["range"] is None:
        return least, least
    return least, int(token["most"]) if token["most"] else None
