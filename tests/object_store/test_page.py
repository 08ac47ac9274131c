"""docs/object-store.md is true: its settings are those of these tests, and its commands do what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession

from cli.command import procnet
from object_store.jars import locked
from object_store.proxy import Proxy
from object_store.service import connection

pytestmark = [pytest.mark.spark, pytest.mark.object_store]
PAGE = (Path(__file__).parents[2] / "docs" / "object-store.md").read_text("utf-8")


def test_the_settings_of_the_page_are_those_of_the_tests(proxy: Proxy) -> None:
    values = settings()["spark"]
    assert values.pop("spark.driver.extraClassPath").endswith("/*")
    tested = connection(proxy.port)
    endpoint = "spark.hadoop.fs.s3a.endpoint"
    assert values | {endpoint: tested[endpoint]} == tested


def test_the_page_names_the_versions_of_the_lock() -> None:
    of = {coordinate.split(":")[1]: coordinate.split(":")[2] for coordinate, _, _ in locked()}
    modules = re.search(r"the modules (.*?)\n?\((\S+)\)", PAGE, re.DOTALL)
    assert modules is not None
    named = re.findall("`(.*?)`", modules[1])
    assert {of[m] for m in named} == {modules[2]}
    assert f"pyspark\n4.1: {of['hadoop-aws']}" in PAGE
    assert f"{len(of)} jars" in PAGE


def test_the_commands_of_the_page(spark: SparkSession, tmp_path: Path) -> None:
    conf = tmp_path / "s3.yml"
    conf.write_text(yaml.safe_dump(settings()))
    commands = re.findall(r"^\$ procnet (.*)\n((?:\.\.\..*\n)*)", PAGE, re.M)
    assert len(commands) == 5
    for line, expected in commands:
        code = re.search(r"# exit code (\d)", line)
        result = procnet(*shlex.split(line.partition("#")[0].replace("s3.yml", str(conf))))
        assert result.code == (int(code[1]) if code else 0), result
        for text in expected.splitlines():
            assert re.search(
                ".*".join(map(re.escape, text.replace(" ... ", "...").split("..."))), result.out + result.err
            )


def settings() -> dict[str, dict[str, str]]:
    block = re.search(r"```yaml title=\"s3.yml\"\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    values: dict[str, dict[str, str]] = yaml.safe_load(block[1])
    return values
