"""Errors of Delta tables that a repetition does not mend: a damaged or incomplete table, one that needs a newer Delta,
or one at an address that the session has no connector for. Spark has no class for most of them, and raises them when a
table is opened or only when its rows are read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from procnet.errors import ConfigError, DataError, ProcnetError, cause

_REPLACE = "else move its folder away: procnet init makes an empty table, which ingest and backfill fill again"
# Pattern of the error's text -> what is wrong with the table, and what to do. The first that matches counts.
_PROBLEMS = (
    (
        r"DELTA_(UNSUPPORTED_FEATURES_FOR_\w+|INVALID_PROTOCOL_VERSION|FEATURES_PROTOCOL_METADATA_MISMATCH)",
        "needs features that Delta does not have here",
        "install a procnet with a newer Delta here, or let the owner of the table remove them: ALTER TABLE ... DROP "
        "FEATURE",
    ),
    (
        r"DELTA_(VERSIONS_NOT_CONTIGUOUS|TRUNCATED_TRANSACTION_LOG|STATE_RECOVER_ERROR|MISSING_(PART|COMMIT)_FILES?)"
        r"|(FAILED_READ_FILE|ChecksumException)[^\n]*_delta_log/|com\.fasterxml\.jackson\.core\.\w+Exception",
        "has a damaged log: files of its _delta_log are missing or cannot be read",
        f"restore _delta_log from a backup; {_REPLACE}",
    ),
    (
        r"FAILED_READ_FILE",
        "lacks files of its rows, or they cannot be read",
        "restore the files, or the table by RESTORE TABLE ... TO VERSION AS OF a version whose files are all there, "
        f"then run the windows of their dates again: procnet backfill; {_REPLACE}",
    ),
)
# An object store that did not answer, or answered with an error, as the file systems of Hadoop report it. Spark has one
# condition for this and for damaged files. A repetition may succeed.
_NO_ANSWER = re.compile(
    r"(?<!at )\b(org\.apache\.hadoop\.fs\.s3a|org\.apache\.http|software\.amazon\.awssdk\.core\.exception|java\.net)"
    r"\.\w+Exception:"
)
_NO_CONNECTOR = re.compile(
    r"ClassNotFoundException: Class ([\w.]*FileSystem) not found|No FileSystem for scheme \"?(\w+)"
)


def table_error(error: Exception, table: str = "a table") -> ProcnetError | None:
    """Returns the DataError for an error of Spark, where the cause is the state of the table; ConfigError where the
    session has no connector for its place; None for other errors.

    `table` is its name in SQL, if it is known: most errors name a file of it.
    """
    text = str(error)
    if missing := _NO_CONNECTOR.search(text):
        return ConfigError(
            f"{table} cannot be opened: Spark has no connector for its address ({missing[1] or missing[2]} not found)",
            hint="start the session with the connector's jars: page object-store of the documentation has those for s3a://",
        )
    if _NO_ANSWER.search(text):
        return None
    for pattern, problem, hint in _PROBLEMS:
        if re.search(pattern, text):
            return DataError(f"{table} {problem}: {cause(error)[:500]}", hint=hint)
    return None


@contextmanager
def table_errors(table: str) -> Iterator[None]:
    """Raises DataError or ConfigError in the place of an error of Spark that `table_error` knows."""
    try:
        yield
    except Exception as e:  # Py4J's own too
        if (error := table_error(e, f"table {table}")) is None:
            raise
        raise error from e
