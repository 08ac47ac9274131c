"""Raw tables to canonical ones, a window at a time, for a scheduler: the same words as `procnet normalize`."""

from __future__ import annotations

import sys

from procnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["normalize", *sys.argv[1:]]))
