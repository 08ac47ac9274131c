"""SQL text: what a scan filters by, and that values and names are never read as code."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pytest
from pyspark.sql import SparkSession

from procnet.spark.sql import among, literal, string_constant, table_properties, table_reference


@pytest.mark.parametrize(
    ("values", "condition"),
    [
        ([2, 1, 2], "(x IN (1, 2))"),
        (["a"], "(x = 'a')"),
        (["a", None], "(x = 'a' OR x IS NULL)"),
        ([None], "(x IS NULL)"),
        ([], "(false)"),
        ([1, 2, 3, 4], "true"),
    ],
)
def test_the_filter_of_a_scan_leaves_out_no_value(values: Sequence[int | str | None], condition: str) -> None:
    assert among("x", values, most=3) == condition


@pytest.mark.parametrize(
    ("place", "reference"),
    [
        ("/lake/a b`c", "delta.`/lake/a b``c`"),
        ("main.security.findings", "`main`.`security`.`findings`"),
        ("`main`.findings", "`main`.`findings`"),
        ("findings WHERE true; --", "`findings WHERE true; --`"),
    ],
)
def test_a_table_is_quoted_by_folder_and_by_name(place: str, reference: str) -> None:
    assert table_reference(place) == reference


@pytest.mark.spark
def test_comments_and_properties_of_a_table_are_what_was_written(spark: SparkSession) -> None:
    """DDL refuses the CAST of `literal`, which is why there are two ways of quoting a text."""
    text = r"it's a \n back\\slash"
    table = table_reference("default.quoting")
    spark.sql(f"CREATE TABLE {table} (day date COMMENT {string_constant(text)}) USING parquet "
              f"TBLPROPERTIES ({table_properties({'a.b': text})})")  # fmt: skip
    try:
        assert spark.table(table).schema["day"].metadata["comment"] == text
        properties = {r["key"]: r["value"] for r in spark.sql(f"SHOW TBLPROPERTIES {table}").collect()}
        assert properties["a.b"] == text
    finally:
        spark.sql(f"DROP TABLE {table}")


@pytest.mark.spark
def test_a_date_is_that_day(spark: SparkSession) -> None:
    assert spark.sql(f"SELECT {literal(date(2026, 3, 1))}").first() == (date(2026, 3, 1),)
