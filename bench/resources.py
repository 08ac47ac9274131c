"""Memory and processor time of this process's JVM and of the Python workers below it, from /proc."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class PeakMemory(threading.Thread):
    """Peaks of the resident memory of this process's JVM and of its Python workers, by `label`; sampled every 0.5 s."""

    label: str = ""
    peaks: dict[str, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:  # `threading` puts threads in sets
        return id(self)

    def run(self) -> None:
        """Sample until the process ends."""
        while True:
            if label := self.label:
                now = _resident()
                peaks = self.peaks.setdefault(label, {})
                for kind, size in now.items():
                    peaks[kind] = max(peaks.get(kind, 0), size)
            time.sleep(0.5)


def _descendants() -> Iterator[tuple[int, str, list[str]]]:
    """Id, name and the further fields of /proc/ID/stat of every descendant of this process."""
    processes: dict[int, tuple[str, list[str]]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = Path(f"/proc/{entry}/stat").read_text()
            except OSError:  # it has ended meanwhile
                continue
            name, _, rest = text.partition("(")[2].rpartition(")")
            processes[int(entry)] = name, rest.split()
    for pid, (name, fields) in processes.items():
        ancestor = int(fields[1])
        while ancestor != os.getpid() and ancestor in processes:
            ancestor = int(processes[ancestor][1][1])
        if ancestor == os.getpid():
            yield pid, name, fields


def _resident() -> dict[str, int]:
    """Bytes of resident memory by kind of process."""
    sizes = {"jvm": 0, "python workers": 0, "largest worker": 0}
    for _, name, fields in _descendants():
        size = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        if name == "java":
            sizes["jvm"] += size
        elif name.startswith("python"):
            sizes["python workers"] += size
            sizes["largest worker"] = max(sizes["largest worker"], size)
    return sizes


def cpu_seconds() -> float:
    """Processor seconds of all descendants of this process, ended ones included: other work on the machine hardly
    changes them."""
    return sum(sum(map(int, fields[11:15])) for _, _, fields in _descendants()) / os.sysconf("SC_CLK_TCK")
