"""Late rows, for a scheduler beside jobs/detect.py: the same words as `procnet catch-up`."""

from __future__ import annotations

import sys

from procnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["catch-up", *sys.argv[1:]]))
