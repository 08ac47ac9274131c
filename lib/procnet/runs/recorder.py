"""What a run leaves in the ledger: who ran what, when, over what, and how long each stage took."""

from __future__ import annotations

import getpass
import time
import uuid
from datetime import datetime, timezone
from typing import Any

from procnet.lake.ledger import Run, append_run
from procnet.lake.tables import Lake
from procnet.version import package_version


class Clock:
    """Wall seconds by stage; the one place of a run that looks at a clock."""

    def __init__(self) -> None:
        self.started_at, self.seconds = datetime.now(timezone.utc), dict[str, float]()
        self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        """End a stage that began where the one before it ended."""
        now = time.monotonic()
        self.seconds[stage], self._last = round(now - self._last, 3), now


def record(lake: Lake, clock: Clock, kind: str, status: str, **told: Any) -> Run:
    """Append a run to the ledger, after whatever it wrote is committed; `told` are more fields of `ledger.Run`."""
    run = Run(
        run_id=uuid.uuid4().hex,
        kind=kind,
        status=status,
        started_at=clock.started_at,
        ended_at=datetime.now(timezone.utc),
        started_by=_user(),
        procnet_version=package_version(),
        seconds=clock.seconds,
        **told,
    )
    append_run(lake, run)
    return run


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under an id without a name
        return "unknown"
