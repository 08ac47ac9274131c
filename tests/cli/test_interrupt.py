"""Ctrl-C in a terminal and SIGTERM end a command in one line, whatever it does; nothing of it goes on or stays."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from procnet.spark.temporary import temporary_folder

# As `backfill --parallel 2` in a terminal: queries in two threads, a progress bar, and the main thread waits for both.
COMMAND = """
import os, sys, threading
from concurrent.futures import ThreadPoolExecutor
from rich.progress import Progress
from procnet.cli.interrupt import end_at_signals
from procnet.spark.session import SHORT_RUN, open_session

end_at_signals()
spark = open_session({**SHORT_RUN, "spark.master": "local[2]"})
def query(_):
    spark.range(10**15).selectExpr("sum(hash(id, id + 1))").collect()
def report_once_it_runs():
    while not spark.sparkContext.statusTracker().getActiveJobsIds():
        pass
    os.write(2, b"RUNS")
threading.Thread(target=report_once_it_runs, daemon=True).start()
with Progress() as bar, ThreadPoolExecutor(2) as pool:
    bar.add_task("backfill", total=None)
    list(pool.map(query, range(2)))
"""


def read_until(descriptor: int, end: bytes | None) -> bytes:
    """What is printed up to `end`, or to the end of the terminal."""
    said = b""
    while end is None or end not in said:
        try:
            part = os.read(descriptor, 4096)
        except OSError:  # Linux's end of a terminal
            part = b""
        if not part:
            return said
        said += part
    return said.partition(end)[2]


@pytest.mark.classic("the JVM is a server of its own there")
@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *[pytest.param(s, marks=pytest.mark.drill) for s in (signal.SIGTERM, signal.SIGKILL)]],
    ids=lambda s: s.name,
)
def test_a_signal_ends_a_command_in_one_line(tmp_path: Path, number: signal.Signals) -> None:
    terminal, end = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND],
        stdin=end,
        stdout=end,
        stderr=end,
        env={**os.environ, "TMPDIR": str(tmp_path), "TERM": "xterm"},
        preexec_fn=lambda: _in_terminal(end),
    ) as command:
        os.close(end)
        read_until(terminal, b"RUNS")
        (folder,) = tmp_path.iterdir()
        if number == signal.SIGINT:
            os.write(terminal, b"\x03")  # the terminal sends SIGINT to every process of the group
        else:
            command.send_signal(number)
        said = read_until(terminal, None).decode().replace("\r", "").replace("^C", "")
        code = command.wait(30)
    os.close(terminal)
    if number == signal.SIGKILL:
        assert code == -number
        assert folder.exists()
        temporary_folder("test", tmp_path)
        assert not folder.exists()
        return
    # The bar may have been drawn until the signal; its lines end where the cursor is shown again.
    bar, _, message = said.partition("\x1b[K\x1b[?25h")
    word = "interrupted" if number == signal.SIGINT else "ended by SIGTERM"
    assert message == f"procnet: {word}; what was committed stays; run the same command again\n"
    assert "Error" not in bar
    assert code == 128 + number
    assert list(tmp_path.iterdir()) == []


def _in_terminal(terminal: int) -> None:
    """Makes the terminal that of the calling process, as a shell in it does: a suite that `nohup` or a shell's `&` runs
    ignores SIGINT, and its children would too."""
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
