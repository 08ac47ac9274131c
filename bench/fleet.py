"""What the benches of detection share: their options, and the demo's fleet in a lake of its own."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pyspark.sql import SparkSession

from procnet.demo.demo import bring_in, make
from procnet.periods import Window
from procnet.settings import Settings, load_settings
from procnet.spark.session import open_session


def options(description: str | None) -> argparse.Namespace:
    """hosts and hours of the fleet, warm rounds."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--hours", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


@contextmanager
def ingested(args: argparse.Namespace) -> Iterator[tuple[SparkSession, Settings, Window]]:
    """Session, settings of a lake that holds the fleet, and the fleet's last hour; the lake goes afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(lake=Path(folder))
        spark = open_session(settings.spark, lake=settings.lake)
        fleet = make(settings, hosts=args.hosts, hours=args.hours, seed=7)
        bring_in(spark, settings, fleet, now=datetime.now(timezone.utc))
        yield spark, settings, Window(fleet.end - timedelta(hours=1), fleet.end)
