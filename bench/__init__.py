"""Measurements of procnet on generated data: a window against other plans, backfill, ingest, and extreme inputs."""
