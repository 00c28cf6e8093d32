"""Entry point: see `snowrail_local.cli`."""

import sys

from snowrail_local.cli import main

sys.exit(main())
