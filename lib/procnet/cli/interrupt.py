"""How a command ends at Ctrl-C and at SIGTERM: one line, nothing running, exit code 128 plus the signal's number."""

from __future__ import annotations

import os
import signal
from types import FrameType

from procnet.spark.session import stop_at_once
from procnet.spark.temporary import remove_own

_SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM"}
_SHOW_CURSOR = "\r\x1b[K\x1b[?25h"  # a progress bar hides it


def end_at_signals() -> None:
    """Lets Ctrl-C and SIGTERM end this process at once, from now on; a signal that is ignored stays ignored.

    Every commit is atomic and is recorded after it was made (docs/semantics.md, R6), so a command may end at any point.
    An exception instead would wait for the command's threads, and call a JVM that is in the middle of another call.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, _: FrameType | None) -> None:
    for s in _SIGNALS:
        signal.signal(s, signal.SIG_IGN)
    start = _SHOW_CURSOR if os.isatty(2) else ""
    what = _SIGNALS[signal.Signals(number)]
    # By descriptors: the signal may have come while Python was writing to sys.stderr. Nothing is printed after the
    # line, neither by threads that lose their JVM nor by a progress bar.
    stderr, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nothing, descriptor)
    os.write(stderr, f"{start}procnet: {what}; what was committed stays; run the same command again\n".encode())
    if stop_at_once():
        remove_own()
    os._exit(128 + number)
