"""The DAGs that Airflow finds. How they run is said by variables PROCNET_... : docs/airflow.md."""

from __future__ import annotations

import os

from procnet_jobs import Setup, scheduled

SETUP = Setup.of(os.environ)

# A line for each command that `procnet --help` lists; `windowed=False` for one that takes no --start and --end.
detect = scheduled("detect", "0 * * * *", SETUP)
# At 40 past, detect, which begins ten past (PROCNET_DELAY_MINUTES), is done as a rule: they need not share a machine.
catch_up = scheduled("catch-up", "40 * * * *", SETUP, windowed=False)
maintain = scheduled("maintain", "50 3 * * *", SETUP, windowed=False)
