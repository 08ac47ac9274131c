"""The upkeep of the lake, once a day: the same words as `procnet maintain`."""

from __future__ import annotations

import sys

from procnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["maintain", *sys.argv[1:]]))
