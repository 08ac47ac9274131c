"""Init in a catalog: tables by name, and the view of findings with the columns of the original search."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from procnet.contract import TABLES
from procnet.lake.tables import Lake
from procnet.runs.init import init
from procnet.settings import Settings


@pytest.mark.spark
def test_a_catalog_has_the_tables_and_the_view_by_name(spark: SparkSession) -> None:
    spark.sql("CREATE SCHEMA cim_test")
    try:
        lake = Lake(spark, Settings(namespace="cim_test"))
        assert init(lake) == list(TABLES)
        assert init(lake) == [], "the second time nothing is new, and the view is replaced"
        assert spark.table("cim_test.findings_cim").columns == [
            "_time", "user", "dest", "parent_process_name", "process_name", "process_path", "process", "process_id",
            "dest_port", "dest_ip",
        ]  # fmt: skip
        assert lake.read("findings").count() == 0
    finally:
        spark.sql("DROP SCHEMA cim_test CASCADE")
