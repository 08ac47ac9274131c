"""How files are shared among tasks, and how records become Arrow batches."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from procnet.readers.record import Record

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]


_BATCH_ROWS, _BATCH_CHARS = 8192, 4 << 20


# Every task is sent the whole plan, wide as it is, and a young JVM takes 0.2 to 0.3 s to read it (stacks sampled over
# many small files: more than the reading). So tasks are made by size and not by file. Packed text grows tenfold.
_TASK_BYTES, _MIN_TASKS, _MAX_TASKS = 16 << 20, 8, 512


_PACKED, _UNPACKED = (".gz", ".zip", ".tgz"), 10


def in_shares(files: Sequence[str]) -> list[list[str]]:
    """Files as tasks read them: each task about as much as the others, large files first. A file is never split."""
    weights = {f: os.path.getsize(f) * (_UNPACKED if f.endswith(_PACKED) else 1) for f in files}
    tasks = min(len(weights), _MAX_TASKS, max(_MIN_TASKS, sum(weights.values()) // _TASK_BYTES))
    shares: list[list[str]] = [[] for _ in range(tasks)]
    heap = [(0, i) for i in range(tasks)]
    for file in sorted(weights, key=lambda f: (-weights[f], f)):
        weight, lightest = heapq.heappop(heap)
        shares[lightest].append(file)
        heapq.heappush(heap, (weight + weights[file], lightest))
    return shares


def arrow_batches(records: Iterator[tuple[str, Record]]) -> Iterator[pa.RecordBatch]:
    """(file, record) -> Arrow batches of RAW_SCHEMA, bounded in rows and characters."""
    import pyarrow as pa

    def batch(rows: list[tuple[str, Record]]) -> pa.RecordBatch:
        files, told = zip(*rows, strict=True)
        lines, texts, problems = zip(*told, strict=True)
        columns = [
            pa.array(files, pa.string()),
            pa.array(lines, pa.int64()),
            pa.array(texts, pa.string()),
            pa.array(problems, pa.string()),
        ]
        return pa.RecordBatch.from_arrays(columns, names=["file", "line", "raw", "problem"])

    rows: list[tuple[str, Record]] = []
    chars = 0
    for row in records:
        rows.append(row)
        chars += len(row[1].text)
        if len(rows) >= _BATCH_ROWS or chars >= _BATCH_CHARS:
            yield batch(rows)
            rows, chars = [], 0
    if rows:
        yield batch(rows)
