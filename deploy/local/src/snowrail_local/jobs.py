"""What children of the fork server do."""


def serve_service(package: str) -> None:
    """Run a service until SIGTERM."""
    from snowrail_kit.cli import load_service, serve

    serve(load_service(package))


def migrate(package: str, url_variable: str) -> None:
    """Bring a service's database up to date; the URL of the owner role is in the variable named."""
    import os

    from snowrail_kit.migrations import upgrade

    upgrade(package, os.environ[url_variable])


def serve_prices(host: str, port: str) -> None:
    """Run the price provider emulator until SIGTERM."""
    from snowrail_testkit.emulators.prices import serve

    serve(host, int(port))
