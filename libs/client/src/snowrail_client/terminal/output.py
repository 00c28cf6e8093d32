"""Words on the terminal."""

import sys


def printable(text: str) -> str:
    """Return a text without what could steer a terminal."""
    return "".join(character for character in text if character.isprintable() or character == "\n")


def tell(text: str) -> None:
    """Print a text for good; what could steer the terminal is left out."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print a text to where errors go."""
    sys.stderr.write(f"{printable(text)}\n")
