"""Runs `procnet detect` for a scheduler or spark-submit, with the same arguments."""

from __future__ import annotations

import sys

from procnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["detect", *sys.argv[1:]]))
