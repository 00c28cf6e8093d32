"""`python -m snowrail_kit`: run a service, migrate it, look at its dead letters, write its documents."""

import argparse
import asyncio
import gc
import importlib
import os
from pathlib import Path
from typing import Any

from snowrail_kit.clock import SystemClock
from snowrail_kit.database import Database
from snowrail_kit.inbox import encode_headers_json, revive
from snowrail_kit.service import Service, build_app
from snowrail_kit.serving import create_server

_COLLECT_AFTER_OBJECTS = 50_000
"""Garbage is looked for after so many new objects: batches make many that die by themselves."""


def load_service(package: str) -> Service[Any, Any]:
    """Return the declaration `service` of `<package>.app`. Raises ImportError or AttributeError."""
    return importlib.import_module(f"{package}.app").service


def serve(service: Service[Any, Any]) -> None:
    """Run a service until SIGTERM or SIGINT; then drain within the graceful timeout."""
    settings = service.settings()
    server = create_server(build_app(service, settings), settings)
    gc.freeze()  # what is there by now stays for good, and need not be looked at
    gc.set_threshold(_COLLECT_AFTER_OBJECTS, 20, 20)
    server.run()


async def _dead_letters(package: str, action: str, identifiers: list[int]) -> None:
    settings = load_service(package).settings()
    assert settings.database_url is not None, "set SNOWRAIL_DATABASE_URL"
    database = Database(
        settings.database_url.get_secret_value(), 2, settings.database_statement_timeout_seconds
    )
    await database.open()
    try:
        if action == "list":
            for row in await database.fetch(
                "SELECT dead_letter_id, subject, headers, reason, died_at, body FROM dead_letter"
                " WHERE replayed_at IS NULL ORDER BY dead_letter_id LIMIT 1000"
            ):
                print(f"{row['dead_letter_id']}  {row['died_at']:%Y-%m-%d %H:%M:%S}  {row['subject']}")
                print(f"    reason   {row['reason']}")
                print(f"    headers  {encode_headers_json(row['headers'])}")
                print(f"    body     {row['body'][:500].decode(errors='replace')}")
        else:
            async with database.transaction() as connection:
                count = await revive(connection, identifiers or None, SystemClock().now())
            print(f"{count} handed to the consumer again")
    finally:
        await database.close()


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(prog="python -m snowrail_kit", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("run", "run a service"),
        ("migrate", "bring its database to the newest revision"),
    ):
        commands.add_parser(name, help=text).add_argument("package", help="such as snowrail_intent")
    documents = commands.add_parser("documents", help="write the OpenAPI and AsyncAPI documents of services")
    documents.add_argument("folder", type=Path)
    documents.add_argument("packages", nargs="+")
    letters = commands.add_parser("dead-letters", help="list or replay messages that could not be handled")
    letters.add_argument("action", choices=["list", "replay"])
    letters.add_argument("package")
    letters.add_argument("identifiers", nargs="*", type=int, help="which to replay; all when none is named")
    options = parser.parse_args(arguments)
    if options.command == "run":
        serve(load_service(options.package))
    elif options.command == "migrate":
        from snowrail_kit.migrations import upgrade

        upgrade(options.package, os.environ["SNOWRAIL_MIGRATION_DATABASE_URL"])
    elif options.command == "dead-letters":
        asyncio.run(_dead_letters(options.package, options.action, options.identifiers))
    else:
        from snowrail_kit.documents import write_documents

        for package in options.packages:
            write_documents(options.folder, load_service(package))
