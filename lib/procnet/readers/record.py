"""A raw record, as every reader returns it, and the columns of a raw frame of files."""

from __future__ import annotations

from typing import NamedTuple

# Columns of a raw frame of files, as Spark DDL: the file and the line on which a record begins, the record's text, and
# null or the reason why the record or the rest of the file could not be read.
RAW_SCHEMA = "file string, line bigint, raw string, problem string"

# The longest record in characters, by default (setting ingest.max_record). The longest event that Windows can record
# is a process start whose two command lines have 32,767 characters each. Written as \uXXXX, and twice (as a field and
# in the message), they are 786,408 characters. Kafka, Event Hubs and Kinesis accept 1 MiB at most, too. The longest of
# the 170,724 real records that the tests use has 23,401.
MAX_RECORD = 1 << 20
BEGINNING = 4096  # characters of a longer record that are quarantined


class Record(NamedTuple):
    """One record: the line on which it begins, its text, and what is wrong with it (None: nothing)."""

    line: int
    text: str
    problem: str | None = None


def too_long(line: int, text: str, max_record: int) -> Record:
    """Returns the record for a text of more than `max_record` characters: its beginning, with the problem."""
    return Record(
        line, text[: min(BEGINNING, max_record)], f"longer than {max_record:,} characters (ingest.max_record)"
    )
