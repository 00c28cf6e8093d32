"""Entry point: see `snowrail_kit.cli`."""

from snowrail_kit.cli import main

main()
