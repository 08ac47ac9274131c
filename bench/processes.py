"""Memory and processor time of this process's JVM and of the Python workers below it, from /proc."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Memory(threading.Thread):
    """Resident memory of this process's JVM and of the Python workers below it, every half second, peaks by label."""

    label: str = ""
    peaks: dict[str, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:  # threads are kept in sets
        return id(self)

    def run(self) -> None:
        """Until the process ends."""
        while True:
            if label := self.label:
                now = _resident()
                peaks = self.peaks.setdefault(label, {})
                for what, size in now.items():
                    peaks[what] = max(peaks.get(what, 0), size)
            time.sleep(0.5)


def _below() -> Iterator[tuple[int, str, list[str]]]:
    """Id, name and the further fields of /proc/ID/stat of every process below this one."""
    found: dict[int, tuple[str, list[str]]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = Path(f"/proc/{entry}/stat").read_text()
            except OSError:  # it has ended
                continue
            name, _, rest = text.partition("(")[2].rpartition(")")
            found[int(entry)] = name, rest.split()
    for pid, (name, fields) in found.items():
        above = int(fields[1])
        while above != os.getpid() and above in found:
            above = int(found[above][1][1])
        if above == os.getpid():
            yield pid, name, fields


def _resident() -> dict[str, int]:
    sizes = {"jvm": 0, "python workers": 0, "largest worker": 0}
    for _, name, fields in _below():
        size = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        if name == "java":
            sizes["jvm"] += size
        elif name.startswith("python"):
            sizes["python workers"] += size
            sizes["largest worker"] = max(sizes["largest worker"], size)
    return sizes


def cpu_seconds() -> float:
    """Seconds of processor time of all processes below this one, ended ones included: other work hardly moves it."""
    return sum(sum(map(int, fields[11:15])) for _, _, fields in _below()) / os.sysconf("SC_CLK_TCK")
