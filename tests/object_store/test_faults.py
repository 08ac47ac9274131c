"""Commands whose requests fail: nothing is lost or doubled, and no command that ends with 0 has left something out.

Each seed is a plan of outages (proxy.Outages) over the job of job.py. A command that gives up is repeated, as a
scheduler does; after each command that ended with 0, the lake is compared with that of the job without faults.
"""

from __future__ import annotations

import os
import re
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cli.command import procnet
from object_store.job import commands, write_job
from object_store.proxy import KINDS, REFUSED, UNANSWERED, Outages, Proxy, no_faults

pytestmark = [pytest.mark.spark, pytest.mark.object_store]
SEEDS = range(int(os.environ.get("SEEDS", "20")))
FAULTY_TRIES = 4  # after so many tries of a command the service has no faults, so that every schedule ends
CODES: Counter[int] = Counter()  # exit codes of all commands
FAULTS: Counter[str] = Counter()


@pytest.fixture(scope="module")
def start(spark: SparkSession, shared_proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """Makes the lake `start` with empty tables; returns the rows of a lake after each command of the job."""
    shared_proxy.plan = no_faults
    folder = tmp_path_factory.mktemp("start")
    assert procnet("init", "--conf", write_job(folder, "s3a://bucket/start")).code == 0
    conf = write_job(folder, folder / "lake")
    assert procnet("init", "--conf", conf).code == 0
    after = []
    for command in commands(conf):
        result = procnet(*command)
        assert result.code == 0, result.err
        after.append(rows(spark, str(folder / "lake")))
    return after


@pytest.mark.parametrize("seed", SEEDS)
def test_a_schedule_with_faults(
    spark: SparkSession, service: int, proxy: Proxy, start: list[list[str]], tmp_path: Path, seed: int
) -> None:
    copy_objects(service, "start/", f"seed-{seed}/")
    conf, plan = write_job(tmp_path, f"s3a://bucket/seed-{seed}"), Outages(seed)
    for command, expected in zip(commands(conf), start, strict=True):
        code = None
        for attempt in range(FAULTY_TRIES + 1):
            proxy.plan = plan if attempt < FAULTY_TRIES else no_faults
            result = procnet(*command)
            proxy.plan = no_faults
            code = result.code
            CODES[code] += 1
            assert code in (0, 4, 5), f"{command}: {result.err}"
            if code == 0:
                break
        assert code == 0, f"{command}: it fails without faults: {result.err}"
        assert rows(spark, f"s3a://bucket/seed-{seed}") == expected, f"{command}, faults: {plan.happened}"
    FAULTS.update(plan.happened)


@pytest.mark.skipif(len(SEEDS) < 20, reason="so few plans need not have each of these")
def test_the_schedules_had_faults_that_commands_survived_and_others_that_they_did_not() -> None:
    assert set(FAULTS) == set(KINDS), FAULTS
    assert CODES[4] > 0, CODES


@pytest.mark.parametrize("kind", [UNANSWERED, REFUSED])
def test_a_commit_that_fails_or_whose_answer_is_lost(
    spark: SparkSession, service: int, proxy: Proxy, start: list[list[str]], tmp_path: Path, kind: str
) -> None:
    """Each commit of each command fails in turn, and the command is repeated. Unanswered commits are in the table."""
    lake = f"commits-{KINDS.index(kind)}"
    copy_objects(service, "start/", f"{lake}/")
    conf = write_job(tmp_path, f"s3a://bucket/{lake}")
    commits = [("process_events", "network_events", "runs"), ("findings", "runs")] * 2
    for command, tables, expected in zip(commands(conf), commits, start, strict=True):
        for table in tables:
            log = f"/{lake}/{table}/_delta_log/"
            proxy.plan = lambda r, log=log: kind if r.writes and log in r.path else None  # type: ignore[misc]
            result = procnet(*command)
            assert result.code in (4, 5), f"{command}, {table}: {result}"
        proxy.plan = no_faults
        assert procnet(*command).code == 0
        assert rows(spark, f"s3a://bucket/{lake}") == expected, command


def rows(spark: SparkSession, lake: str) -> list[str]:
    """Returns events and findings as text, sorted, without what differs from run to run."""
    of = {
        "process_events": "host, process_id, process_path, event_time, event_kind",
        "network_events": "host, process_id, dest_ip, dest_port, event_time",
        "findings": "finding_id, host, process_name, event_time, attribution",
    }
    texts = [f"SELECT to_json(struct('{t}', {columns})) AS row FROM delta.`{lake}/{t}`" for t, columns in of.items()]
    return sorted(r["row"] for r in spark.sql(" UNION ALL ".join(texts)).collect())


def copy_objects(service: int, source: str, target: str) -> None:
    """Copies the objects of a prefix of the bucket to another one, in the service."""
    address = f"http://127.0.0.1:{service}/bucket"
    with urllib.request.urlopen(f"{address}?list-type=2&prefix={source}") as answer:
        keys = re.findall("<Key>(.*?)</Key>", answer.read().decode())
    assert keys
    for key in keys:
        place = urllib.parse.quote(f"{target}{key.removeprefix(source)}")
        headers = {"x-amz-copy-source": urllib.parse.quote(f"/bucket/{key}")}
        urllib.request.urlopen(urllib.request.Request(f"{address}/{place}", method="PUT", headers=headers))
