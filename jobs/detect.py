"""One window, for a scheduler or spark-submit: the same words as `procnet detect`."""

from __future__ import annotations

import sys

from procnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["detect", *sys.argv[1:]]))
