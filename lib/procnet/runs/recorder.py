"""Records a run in the ledger: who ran what and when, what it read, and how long each stage took."""

from __future__ import annotations

import getpass
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypedDict

from procnet.lake.coverage import RunAttempt
from procnet.lake.ledger import Run, append_runs
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.version import package_version

if TYPE_CHECKING:
    from typing_extensions import Unpack


class RunFacts(TypedDict, total=False):
    """Columns of the ledger's row that a try finds out; see `contract.RUNS`."""

    table_versions: Mapping[str, int]
    counts: Mapping[str, int]
    inputs: Mapping[str, str]
    health: Sequence[Mapping[str, Any]]
    plan: str | None
    plan_reason: str | None
    rows_collected: Mapping[str, int]
    noisy: Sequence[str]


@dataclass(frozen=True)
class RunRecorder:
    """One run: what is known of it before it starts. `detections` is detection id -> run fingerprint."""

    lake: Lake
    kind: str
    window: Window | None = None
    detections: Mapping[str, str] = field(default_factory=dict)
    broken: Sequence[str] = ()

    def attempt(self) -> RunInProgress:
        """Starts a try of the run. A run that is retried has one try each time, and records the last one."""
        return RunInProgress(self)


class RunInProgress:
    """One try of a run: its start and the wall seconds of its stages. Only here does a run read a clock."""

    def __init__(self, recorder: RunRecorder) -> None:
        self.run_id = uuid.uuid4().hex
        self.started_at = datetime.now(timezone.utc)
        self.seconds: dict[str, float] = {}
        self._recorder = recorder
        self._stage_start = time.monotonic()
        self._facts = RunFacts()

    @property
    def kind(self) -> str:
        """The kind of the run, as the ledger has it."""
        return self._recorder.kind

    def over(self, window: Window, versions: Mapping[str, int], ids: Mapping[str, str]) -> RunAttempt:
        """This try, as a run over a window that has read these versions of the tables of events, with these ids."""
        detections = self._recorder.detections
        return RunAttempt(window, self.started_at, "succeeded", detections, versions, run_id=self.run_id, table_ids=ids)

    def stage(self, name: str) -> None:
        """Ends a stage, which began where the one before it ended."""
        now = time.monotonic()
        self.seconds[name] = round(now - self._stage_start, 3)
        self._stage_start = now

    def note(self, **facts: Unpack[RunFacts]) -> None:
        """Adds facts that the ledger's row has whether the try succeeds or fails."""
        self._facts.update(facts)

    def succeeded(self, status: str = "succeeded", **facts: Unpack[RunFacts]) -> Run:
        """Appends the ledger's row, after the commit of all that the run wrote; `status` may be `nothing_to_read`."""
        return self._append(status, None, facts)

    def checked(self, windows: Sequence[tuple[Window, str]], **facts: Unpack[RunFacts]) -> Run:
        """Appends the ledger's row, and a row for each window whose findings need no new run, with its status."""
        run = self._run("succeeded", None, facts)
        rows = [
            replace(run, run_id=uuid.uuid4().hex, status=status, window=w, counts={}, seconds={})
            for w, status in windows
        ]
        append_runs(self._recorder.lake, run, *rows)
        return run

    def failed(self, error: str, **facts: Unpack[RunFacts]) -> Run:
        """Appends the ledger's row of a failed run, with the error's text."""
        return self._append("failed", error, facts)

    def _append(self, status: str, error: str | None, facts: RunFacts) -> Run:
        run = self._run(status, error, facts)
        append_runs(self._recorder.lake, run)
        return run

    def _run(self, status: str, error: str | None, facts: RunFacts) -> Run:
        of = self._recorder
        self.note(**facts)
        return Run(
            run_id=self.run_id,
            kind=of.kind,
            status=status,
            started_at=self.started_at,
            ended_at=datetime.now(timezone.utc),
            started_by=_user(),
            procnet_version=package_version(),
            window=of.window,
            detections=of.detections,
            broken=of.broken,
            seconds=self.seconds,
            error=error,
            **self._facts,
        )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under an id without a name
        return "unknown"
