"""The command line of the measurements: `python -m bench [MEASUREMENT] [OPTIONS]`, or `make bench ARGS=...`.

Without a measurement it is `window`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence

from bench import backfill, dest_names, extremes, ingest, window
from bench.session import common_options
from procnet.cli.output import print_json
from procnet.errors import ProcnetError

MEASUREMENTS = {
    "window": window,
    "backfill": backfill,
    "ingest": ingest,
    "extremes": extremes,
    "dest-names": dest_names,
}


def parser() -> argparse.ArgumentParser:
    """All measurements and their options."""
    top = argparse.ArgumentParser(prog="bench", description=__doc__)
    commands = top.add_subparsers(dest="measurement", required=True, metavar="MEASUREMENT")
    for name, module in MEASUREMENTS.items():
        description = module.__doc__ or ""
        command = commands.add_parser(
            name,
            parents=[common_options()],
            help=description.partition("\n")[0],
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_options(command)
        command.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str]) -> int:
    """Run one measurement; returns the exit code."""
    # Spark hands times to Python in the zone of the process, without an offset: here that is UTC.
    os.environ["TZ"] = "UTC"
    time.tzset()
    is_named = bool(argv) and argv[0] in (*MEASUREMENTS, "-h", "--help")
    args = parser().parse_args(argv if is_named else ["window", *argv])
    try:
        figures = args.run(args)
    except ProcnetError as e:
        sys.stderr.write(f"bench {args.measurement}: {e}\n")
        return e.exit_code
    if args.output:
        args.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if args.json:
        print_json(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
