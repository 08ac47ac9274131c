"""Bad raw files: see case.py for how to add one."""

from __future__ import annotations

from bad_inputs.case import Case

# (title of the section of the page, its cases)
GROUPS: tuple[tuple[str, tuple[Case, ...]], ...] = ()
