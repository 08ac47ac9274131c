"""DAGs for the tests, made as the shipped ones are; the program in place of procnet exits with its command's code."""

import os
from datetime import timedelta

from airflow.sdk import CronTriggerTimetable

from procnet_jobs import Setup, scheduled

HOSTILE = ("--lake", "$(touch pwned) `touch pwned`; touch pwned {{ ds }}")
SETUP = Setup(program=os.environ["CASES_PROGRAM"], options=HOSTILE, retry_delay=timedelta(0))

for code in (0, 1, 2, 3, 4, 5):
    globals()[f"exit_{code}"] = scheduled(f"exit-{code}", "0 * * * *", SETUP)
zero_width = scheduled("zero-width", CronTriggerTimetable("0 * * * *", timezone="UTC"), SETUP)
no_window = scheduled("no-window", "0 3 * * *", SETUP, windowed=False)
