"""Runs a command that waits before it compares its findings: `python pause_point.py REACHED GO_ON COMMAND ...`.

REACHED and GO_ON are named pipes: the first is written when the command waits, the second ends the wait.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from procnet.runs import detect

if __name__ == "__main__":
    reached, go_on, *words = sys.argv[1:]
    from procnet.cli.main import main

    original = detect.replace_findings

    def paused(*args: Any, **kwargs: Any) -> Any:
        detect.replace_findings = original
        Path(reached).write_text("waiting")
        Path(go_on).read_text()
        return original(*args, **kwargs)

    detect.replace_findings = paused
    sys.exit(main(words))
