"""Distributes files over Spark tasks, and turns records into Arrow batches."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Sequence

import pyarrow as pa  # type: ignore[import-untyped]

from procnet.readers.record import Record

_BATCH_ROWS, _BATCH_CHARS = 8192, 4 << 20
# Tasks are made by size and not by file, because every task costs the deserialization of the whole wide plan: 0.2 to
# 0.3 s in a JVM that has just started (stacks sampled over many small files: more than the reading itself).
_TASK_BYTES, _MIN_TASKS, _MAX_TASKS = 16 << 20, 8, 512
_COMPRESSED, _COMPRESSION_RATIO = (".gz", ".zip", ".tgz"), 10  # text is about ten times as large as its archive


def in_shares(files: Sequence[str]) -> list[list[str]]:
    """Returns the files of each task: shares of about the same size, large files first. No file is split."""
    weights = {f: os.path.getsize(f) * (_COMPRESSION_RATIO if f.endswith(_COMPRESSED) else 1) for f in files}
    tasks = min(len(weights), _MAX_TASKS, max(_MIN_TASKS, sum(weights.values()) // _TASK_BYTES))
    shares: list[list[str]] = [[] for _ in range(tasks)]
    heap = [(0, i) for i in range(tasks)]
    for file in sorted(weights, key=lambda f: (-weights[f], f)):
        weight, lightest = heapq.heappop(heap)
        shares[lightest].append(file)
        heapq.heappush(heap, (weight + weights[file], lightest))
    return shares


def arrow_batches(records: Iterator[tuple[str, Record]]) -> Iterator[pa.RecordBatch]:
    """Yields (file, record) pairs as Arrow batches of RAW_SCHEMA, limited in rows and characters."""
    rows: list[tuple[str, Record]] = []
    chars = 0
    for row in records:
        rows.append(row)
        chars += len(row[1].text)
        if len(rows) >= _BATCH_ROWS or chars >= _BATCH_CHARS:
            yield _batch(rows)
            rows, chars = [], 0
    if rows:
        yield _batch(rows)


def _batch(rows: list[tuple[str, Record]]) -> pa.RecordBatch:
    files, records = zip(*rows, strict=True)
    lines, texts, problems = zip(*records, strict=True)
    columns = [
        pa.array(files, pa.string()),
        pa.array(lines, pa.int64()),
        pa.array(texts, pa.string()),
        pa.array(problems, pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, names=["file", "line", "raw", "problem"])
