"""Before anything is written: two writers on S3 need someone who keeps their commits apart.

S3 has a commit file overwritten by the second of two writers, unless Delta is told of a log store that prevents it
(delta-io/delta issue 1804); Databricks has a commit service of its own.
"""

from __future__ import annotations

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from procnet.errors import ConfigError
from procnet.lake.tables import Lake
from procnet.spark.sql import table_reference

_SCHEMES = ("s3", "s3a", "s3n")
_ALONE = "S3SingleDriverLogStore"  # Delta's own choice there: it knows one driver's commits, and no other's


def refuse_unsafe_commits(lake: Lake) -> None:
    """ConfigError where tables lie on S3, no log store is set, and `s3_commits` does not say why that is safe."""
    if lake.settings.s3_commits is not None:
        return
    for place in _places(lake):
        scheme = place.partition(":")[0]
        if scheme in _SCHEMES and not _kept_apart(lake.spark, scheme):
            raise ConfigError(
                f"tables lie in {place}, and nothing keeps two writers' commits apart there: of two at once one could "
                f"be lost (looked for spark.delta.logStore.{scheme}.impl and spark.delta.logStore.class)",
                hint="set a log store under spark, such as io.delta.storage.S3DynamoDBLogStore, or say under "
                "s3_commits why it is safe, such as: one writer only",
            )


def _places(lake: Lake) -> list[str]:
    """Addresses that the settings name, and where the catalog's schema lies."""
    settings = lake.settings
    named = [p for p in settings.tables.values() if ":/" in p]
    if settings.lake is not None or settings.namespace is None:
        return named
    try:
        told = lake.spark.sql(f"DESCRIBE SCHEMA {table_reference(settings.namespace)}").collect()
    except PySparkException:  # it is not there: whoever reads or creates a table tells that better
        return named
    return [*named, *(r["info_value"] for r in told if r["info_name"] == "Location")]


def _kept_apart(spark: SparkSession, scheme: str) -> bool:
    for key in (f"spark.delta.logStore.{scheme}.impl", "spark.delta.logStore.class"):
        store = spark.conf.get(key, None)
        if store is not None and not store.endswith(_ALONE):
            return True
    try:
        spark.sql("SELECT current_version()").collect()  # a function of Databricks alone
    except PySparkException:
        return False
    return True
