r"""`*` and `?` in a text, and how they are written when they are meant as themselves.

`\*` and `\?` are the plain characters, `\\*` and `\\?` are a backslash before a wildcard; every other backslash is
itself. So `C:\Windows\` and `\\10.0.0.1\share` are written as they look, where Sigma would take one of the latter's.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\\\\(?=[*?])|\\[*?]|[*?]|\\|[^*?\\]+", re.DOTALL)


def tokens(text: str) -> list[tuple[bool, str]]:
    """The text in pieces: (is a wildcard, the plain text of it)."""
    return [(t in ("*", "?"), t[-1] if t[0] == "\\" else t) for t in _TOKEN.findall(text)]


def is_plain(text: str) -> bool:
    """Whether the text holds no wildcard."""
    return not any(wild for wild, _ in tokens(text))


def plain(pieces: list[tuple[bool, str]]) -> str:
    """The characters that the pieces mean, wildcards left out."""
    return "".join(t for wild, t in pieces if not wild)


def to_regex(text: str) -> str:
    """A regular expression, the same in Java and Python but for its end, of the whole text; lines do not stop it."""
    spelled = {"*": ".*", "?": "."}
    return "(?s)^" + "".join(spelled[t] if wild else re.escape(t) for wild, t in tokens(text)) + r"\z"
