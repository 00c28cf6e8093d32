"""Command line: `python -m snowrail_chain deploy|verify`, see `--help`."""

from snowrail_chain.cli import main

raise SystemExit(main())
