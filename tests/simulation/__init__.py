"""Simulates the whole job: schedules of commands that run at once, are killed and repeated, judged by a fresh run."""
