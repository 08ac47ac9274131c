"""The DAGs of procnet. Environment variables PROCNET_... configure them: docs/airflow.md."""

from __future__ import annotations

import os

from procnet_jobs import Setup, scheduled

SETUP = Setup.of(os.environ)

# One line a command of `procnet --help`; `windowed=False` for a command without --start and --end.
detect = scheduled("detect", "0 * * * *", SETUP)
# detect starts at 10 past (PROCNET_DELAY_MINUTES); at 40 past it is usually done, so the two do not share a machine.
catch_up = scheduled("catch-up", "40 * * * *", SETUP, windowed=False)
maintain = scheduled("maintain", "50 3 * * *", SETUP, windowed=False)
