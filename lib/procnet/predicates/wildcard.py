r"""The wildcards `*` and `?` in a text, and how they are escaped.

`\*` and `\?` are the plain characters, `\\*` and `\\?` a backslash before a wildcard. Other backslashes are plain:
`C:\Windows\` and `\\10.0.0.1\share` need no escape, while Sigma reads the two backslashes of the latter as one.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\\\\(?=[*?])|\\[*?]|[*?]|\\|[^*?\\]+", re.DOTALL)


def tokens(text: str) -> list[tuple[bool, str]]:
    """The text in pieces: (whether it is a wildcard, its characters without escapes)."""
    return [(t in ("*", "?"), t[-1] if t[0] == "\\" else t) for t in _TOKEN.findall(text)]


def is_plain(text: str) -> bool:
    """Whether the text contains no wildcard."""
    return not any(wild for wild, _ in tokens(text))


def plain(pieces: list[tuple[bool, str]]) -> str:
    """The characters of the pieces that are no wildcards."""
    return "".join(t for wild, t in pieces if not wild)


def to_regex(text: str) -> str:
    """A regular expression for the whole text, in which wildcards match line breaks too.

    It is Java's; Python reads it the same but for the `\\z` at its end. It takes time in proportion to the text: what
    stands between two stars is found at its first place only (`(?=(...))\\1` is not entered again), which is enough,
    since a star takes any rest. With `.*` between them, four stars took 28 s on 900 characters that match almost.
    """
    parts = [""]
    for wild, characters in tokens(text):
        if wild and characters == "*":
            parts.append("")
        else:
            parts[-1] += "." if wild else re.escape(characters)
    if len(parts) == 1:
        return rf"(?s)^{parts[0]}\z"
    first, *between, last = parts
    found = "".join(rf"(?=(.*?{part}))\{n}" for n, part in enumerate(filter(None, between), 1))
    return rf"(?s)^{first}{found}.*{last}\z"
