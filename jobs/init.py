"""Runs `procnet init` for spark-submit, with the same arguments: once, and after an update."""

from __future__ import annotations

import sys

from procnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["init", *sys.argv[1:]]))
