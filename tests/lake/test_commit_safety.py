"""Tables on S3 are refused without a log store that is safe for two writers, or a reason in the settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pyspark.sql import SparkSession

from procnet.errors import ConfigError
from procnet.lake.commit_safety import _locations, refuse_unsafe_commits
from procnet.lake.tables import Lake
from procnet.settings import Settings

pytestmark = pytest.mark.spark
ON_S3 = {"findings": "s3a://bucket/findings"}
LOG_STORE = "spark.delta.logStore.s3a.impl"


@pytest.fixture
def conf(spark: SparkSession) -> Iterator[SparkSession]:
    yield spark
    for key in (LOG_STORE, "spark.delta.logStore.class"):
        spark.conf.unset(key)


def lake(spark: SparkSession, **settings: Any) -> Lake:
    return Lake(spark, Settings(**settings))


def test_tables_on_s3_need_a_log_store(conf: SparkSession) -> None:
    with pytest.raises(ConfigError, match=r"s3a://bucket/findings.*spark\.delta\.logStore\.s3a\.impl"):
        refuse_unsafe_commits(lake(conf, tables=ON_S3))
    for unsafe in ("S3SingleDriverLogStore", "HDFSLogStore", "AzureLogStore", "LocalLogStore", "GCSLogStore"):
        conf.conf.set(LOG_STORE, f"io.delta.storage.{unsafe}")
        with pytest.raises(ConfigError):
            refuse_unsafe_commits(lake(conf, tables=ON_S3))
    conf.conf.set(LOG_STORE, "io.delta.storage.S3DynamoDBLogStore")
    refuse_unsafe_commits(lake(conf, tables=ON_S3))


def test_a_lake_on_s3_needs_a_log_store(conf: SparkSession) -> None:
    with pytest.raises(ConfigError, match="s3a://bucket/lake"):
        refuse_unsafe_commits(lake(conf, lake="s3a://bucket/lake"))


def test_a_reason_in_the_settings_is_enough_and_other_places_need_none(conf: SparkSession) -> None:
    refuse_unsafe_commits(lake(conf, tables=ON_S3, s3_commits="one writer only"))
    refuse_unsafe_commits(lake(conf, tables={"findings": "abfss://lake@account/findings"}))
    refuse_unsafe_commits(lake(conf, namespace="default"))
    refuse_unsafe_commits(lake(conf, namespace="not_there"))


def test_the_location_of_a_catalogs_schema_is_checked(conf: SparkSession) -> None:
    (location,) = _locations(lake(conf, namespace="default"))
    assert location.startswith("file:/")
    assert _locations(lake(conf, namespace="default", lake="/lake")) == [], "the folder takes precedence"
