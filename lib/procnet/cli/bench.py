"""The command that measures procnet on this machine."""

from __future__ import annotations

import json
import tempfile
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from procnet.bench.plot import plot
from procnet.bench.run import PARTS, Result, bench
from procnet.bench.shapes import SIZES
from procnet.cli.options import number_from, settings_of
from procnet.cli.output import print_json, print_table, say
from procnet.spark.session import open_session


def add_commands(commands: Any, common: ArgumentParser) -> None:
    """bench."""
    asked = commands.add_parser(
        "bench", parents=[common], help="time procnet and its rivals over a made-up lake, by ratios to the bare scans"
    )
    asked.add_argument("--size", choices=SIZES, default="small", help="small ends within five minutes on two cores")
    asked.add_argument("--rounds", type=number_from(1), default=5, help="warm rounds (default: 5)")
    asked.add_argument(
        "--only", action="append", choices=PARTS, default=[], metavar="PART", help=f"of {', '.join(PARTS)}"
    )
    asked.add_argument("--output", type=Path, metavar="F.json", help="write all figures here")
    asked.add_argument("--plot", type=Path, metavar="F.svg", help="draw the medians here")
    asked.set_defaults(answer=_bench)


def _bench(args: Namespace) -> None:
    settings = settings_of(args)
    with tempfile.TemporaryDirectory(prefix="procnet-bench-") as folder:
        spark = open_session(settings.spark, lake=Path(folder))
        result = bench(spark, settings, Path(folder), args.size, args.rounds, say, args.only)
    told = asdict(result)
    if args.output:
        args.output.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    if args.plot:
        args.plot.write_text(plot(result), encoding="utf-8")
    if args.json:
        print_json(told)
        return
    _print(result)


def _print(result: Result) -> None:
    rows, size = result.rows, result.size
    told = [f"{rows[t]:,} {t.replace('_', ' ')}" for t in rows]
    told += [f"{result.findings} findings"] if rows else []
    say(", ".join([result.day, result.machine, f"{size['hosts']} hosts", *told, f"{result.rounds} warm rounds"]))
    floor = result.seconds["floor"]["median"] if "floor" in result.seconds else None
    print_table(
        ("step", "median s", "least", "most", "cold", "x the bare scans"),
        [
            (
                n,
                *(round(s[k], 2) for k in ("median", "least", "most", "cold")),
                None if floor is None else round(s["median"] / floor, 2),
            )
            for n, s in result.seconds.items()
        ],
    )
    print_table(("connections", "median s"), [(f"{n:,}", round(s, 2)) for n, s in result.growth.items()])
    print_table(("ratio", ""), [(n, "not measured" if r is None else round(r, 2)) for n, r in result.ratios.items()])
    for rival, why in result.not_measured.items():
        say(f"{rival} was not measured: {why}")
