"""Entry point: see `snowrail_chain_monitor.cli`."""

import sys

from snowrail_chain_monitor.cli import main

sys.exit(main())
