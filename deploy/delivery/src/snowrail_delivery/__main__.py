"""Entry point of `python -m snowrail_delivery`."""

import sys

from snowrail_delivery.cli import main

sys.exit(main(sys.argv[1:]))
