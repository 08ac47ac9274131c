"""Which errors of Spark are those of a table, which those of its settings, and which a repetition may mend."""

from __future__ import annotations

import pytest

from procnet.errors import ConfigError, DataError, ProcnetError
from procnet.lake.table_errors import table_error

READ = "SparkException: [FAILED_READ_FILE.NO_HINT] Encountered error while reading file {}. SQLSTATE: KD001"
FILE, LOG = "s3a://b/lake/runs/part-0.parquet", "s3a://b/lake/runs/_delta_log/02.checkpoint.parquet"
BUSY = (
    "Caused by: org.apache.hadoop.fs.s3a.AWSServiceThrottledException: open: Slow Down (Service: S3, Status Code: 503)"
)
CASES = {
    "a damaged file": (READ.format(FILE), DataError),
    "a damaged log": (READ.format(LOG), DataError),
    "a file that is not there, by a trace through the connector": (
        f"{READ.format(FILE)}\nCaused by: java.io.FileNotFoundException: No such file: {FILE}\n"
        "\tat software.amazon.awssdk.core.exception.SdkClientException$BuilderImpl.build(x)", DataError,
    ),
    "a store that is busy": (f"{READ.format(FILE)}\n{BUSY}", None),
    "a store that is busy, at the log": (f"{READ.format(LOG)}\n{BUSY}", None),
    "a connection cut in a body": (
        f"{READ.format(FILE)}\nCaused by: org.apache.http.ConnectionClosedException: Premature end of body", None,
    ),
    "no answer in time": (f"{READ.format(FILE)}\nCaused by: java.net.SocketTimeoutException: Read timed out", None),
    "no connector": (
        "java.lang.ClassNotFoundException: Class org.apache.hadoop.fs.s3a.S3AFileSystem not "
        "found", ConfigError,
    ),
    "an unknown scheme": ('UnsupportedFileSystemException: No FileSystem for scheme "s3"', ConfigError),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_fault_of_an_object_store_is_no_damaged_table(case: str) -> None:
    text, expected = CASES[case]
    error: ProcnetError | None = table_error(RuntimeError(text))
    assert (None if error is None else type(error)) is expected
