"""Check before a write: two writers on S3 need a log store that makes their commits safe.

On S3 the second of two writers overwrites the first one's commit file, unless Delta has a log store that prevents it
(delta-io/delta issue 1804). Databricks has a commit service of its own.
"""

from __future__ import annotations

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from procnet.errors import ConfigError
from procnet.lake.tables import Lake
from procnet.spark.sql import table_reference

_S3_SCHEMES = ("s3", "s3a", "s3n")
# Delta's log stores that lose commits of two drivers on S3. The first is its default there: it is safe for one driver.
# The next three create a commit by a rename or a check before the write, neither of which S3 makes atomic. GCSLogStore
# counts a failed upload as written, unless the message has the words that Google's connector uses.
_UNSAFE_STORES = ("S3SingleDriverLogStore", "HDFSLogStore", "AzureLogStore", "LocalLogStore", "GCSLogStore")


def refuse_unsafe_commits(lake: Lake) -> None:
    """ConfigError if tables are on S3 without a safe log store, and `s3_commits` does not say why that is safe."""
    if lake.settings.s3_commits is not None:
        return
    for location in _locations(lake):
        scheme = location.partition(":")[0]
        if scheme in _S3_SCHEMES and not _has_safe_commits(lake.spark, scheme):
            raise ConfigError(
                f"tables are in {location}, and no log store makes commits of two writers safe there: one of two "
                f"commits could be lost (looked for spark.delta.logStore.{scheme}.impl and spark.delta.logStore.class)",
                hint="set a log store under spark, such as io.delta.storage.S3DynamoDBLogStore, or say under "
                "s3_commits why it is safe, such as: one writer only",
            )


def _locations(lake: Lake) -> list[str]:
    """Addresses of tables in the settings, and the location of the catalog's schema."""
    settings = lake.settings
    addresses = [p for p in (*settings.tables.values(), str(settings.lake)) if ":/" in p]
    if settings.lake is not None or settings.namespace is None:
        return addresses
    try:
        description = lake.spark.sql(f"DESCRIBE SCHEMA {table_reference(settings.namespace)}").collect()
    except PySparkException:  # no such schema: reading or creating a table raises a better error
        return addresses
    return [*addresses, *(r["info_value"] for r in description if r["info_name"] == "Location")]


def _has_safe_commits(spark: SparkSession, scheme: str) -> bool:
    for key in (f"spark.delta.logStore.{scheme}.impl", "spark.delta.logStore.class"):
        store = spark.conf.get(key, None)
        if store is not None and store.rpartition(".")[2] not in _UNSAFE_STORES:
            return True
    try:
        spark.sql("SELECT current_version()").collect()  # a function that only Databricks has
    except PySparkException:
        return False
    return True
