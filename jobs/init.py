"""The tables, once and after an update, for spark-submit: the same words as `procnet init`."""

from __future__ import annotations

import sys

from procnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["init", *sys.argv[1:]]))
