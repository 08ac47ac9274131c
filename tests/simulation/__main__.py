"""Runs schedules: `PYTHONPATH=lib:tests python -m simulation --seeds 1000`; `--seed N --log` shows every step."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from simulation.generate import generate
from simulation.run import Failure, run_schedule, run_seed, shrink
from simulation.storage import REPLACED, replaced

_BATCH = 200


def say(line: str) -> None:
    """Writes a line of output."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run_batch(seeds: range) -> list[Failure]:
    """Runs the schedules of seeds; returns those that fail."""
    with replaced(REPLACED):
        return [f for seed in seeds if (f := run_seed(seed, generate)) is not None]


def report(failure: Failure, *, log: bool) -> None:
    """Prints a failure, shrunk."""
    with replaced(REPLACED):
        smaller = shrink(failure)
        say("\n".join(["", f"seed {failure.schedule.seed}: {failure.problem}", "shrunk:", smaller.problem]))
        say("\n".join(smaller.schedule.lines()))
        if log:
            run_schedule(smaller.schedule, log=say)


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="number of schedules (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="runs this seed only")
    parser.add_argument("--processes", type=int, default=1, help="how many processes run schedules")
    parser.add_argument("--log", action="store_true", help="print every step of a failure")
    args = parser.parse_args()
    first, count = (args.first, args.seeds) if args.seed is None else (args.seed, 1)
    batches = [range(n, min(n + _BATCH, first + count)) for n in range(first, first + count, _BATCH)]
    began, failures, done = time.monotonic(), list[Failure](), 0
    with ProcessPoolExecutor(args.processes) as pool:
        running = {pool.submit(run_batch, batch): batch for batch in batches}
        for future in as_completed(running):
            done += len(running[future])
            for failure in future.result():
                failures.append(failure)
                if len(failures) <= 5:
                    report(failure, log=args.log)
            minutes = (time.monotonic() - began) / 60
            say(f"{done} schedules, {done / minutes:.0f} a minute, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
