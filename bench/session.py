"""The session and settings of a measurement, and a temporary folder for its lakes."""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from procnet.settings import Settings, load_settings
from procnet.spark.session import open_session


def common_options() -> ArgumentParser:
    """The options that every measurement has."""
    common = ArgumentParser(add_help=False)
    common.add_argument("--conf", type=Path, metavar="FILE", help="settings (default conf/local.yml, or $PROCNET_CONF)")
    common.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="key=value", help="one setting; repeatable"
    )
    common.add_argument(
        "--lake", type=Path, metavar="DIR", help="where to make the folder of the lakes, which is removed afterwards"
    )
    common.add_argument("--json", action="store_true", help="print all figures as one JSON object")
    common.add_argument("--output", type=Path, metavar="F.json", help="write all figures to this file")
    return common


@contextmanager
def temporary_lakes(args: Namespace) -> Iterator[tuple[SparkSession, Settings, Path]]:
    """A session, the settings of the common options, and a new folder, which is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="procnet-bench-", dir=args.lake) as name:
        folder = Path(name)
        settings = load_settings(args.conf, overrides=args.overrides, lake=folder / "lake")
        spark = open_session(settings.spark, lake=settings.local_lake)
        try:
            yield spark, settings, folder
        finally:
            spark.stop()
