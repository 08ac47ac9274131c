"""Runs schedules: `PYTHONPATH=lib:tests python -m simulation --seeds 1000`; `--seed N --log` shows every step."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from simulation.generate import generate
from simulation.run import Failure, run_schedule, run_seed, shrink
from simulation.schedule import RandomChoice
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


def run_delta(seeds: range, *, log: bool) -> int:
    """Runs the schedules of seeds on real tables, in one session; returns the number of failures."""
    from conftest import INTERPRETED, JAVA_OPTIONS
    from procnet.spark.session import SHORT_RUN, open_session
    from simulation.delta import REPLACED_ON_DELTA, run_on_delta

    options = {"spark.driver.extraJavaOptions": f"{SHORT_RUN['spark.driver.extraJavaOptions']} {JAVA_OPTIONS}"}
    options |= {"spark.master": "local[2]", "spark.driver.memory": "2g", "spark.sql.shuffle.partitions": "1"}
    failures = 0
    with TemporaryDirectory() as folder, replaced(REPLACED_ON_DELTA):
        spark = open_session({**options, **INTERPRETED}, lake=Path(folder), app="simulation")
        for seed in seeds:
            began, choice, schedule = time.monotonic(), RandomChoice(seed), generate(seed, killed=0.4, is_small=True)
            problem, findings = run_on_delta(schedule, spark, Path(folder) / str(seed), choice, say if log else None)
            say(f"seed {seed}: {problem or 'right'}, {findings} findings, {time.monotonic() - began:.0f} s")
            if problem is not None:
                failures += 1
                say("\n".join(replace(schedule, switches=choice.switches).lines()))
            shutil.rmtree(Path(folder) / str(seed), ignore_errors=True)
        spark.stop()
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="number of schedules (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="runs this seed only")
    parser.add_argument("--processes", type=int, default=1, help="how many processes run schedules")
    parser.add_argument("--log", action="store_true", help="print every step of a failure")
    parser.add_argument("--delta", action="store_true", help="on real Delta tables; a schedule takes a minute")
    args = parser.parse_args()
    first, count = (args.first, args.seeds) if args.seed is None else (args.seed, 1)
    if args.delta:
        return 1 if run_delta(range(first, first + count), log=args.log) else 0
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
                else:
                    say(f"seed {failure.schedule.seed}: {failure.problem}")
            minutes = (time.monotonic() - began) / 60
            say(f"{done} schedules, {done / minutes:.0f} a minute, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
