"""Rich on stdout: plain where it is no terminal, without colour where that is asked."""

import os
from collections.abc import Iterable

from rich.console import Console, RenderableType

WIDEST = 100
NARROWEST = 80


def show(parts: Iterable[RenderableType]) -> None:
    """Print the parts of an answer on stdout."""
    console = answer_console()
    for part in parts:
        console.print(part)


def answer_console() -> Console:
    """Return the console for stdout; without a terminal it is 100 columns wide."""
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=False)
    console.width = min(WIDEST, console.width) if console.is_terminal else WIDEST
    return console


def narration_console() -> Console:
    """Return the console for stderr, where progress and notes go."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def is_interactive() -> bool:
    """Tell whether a person can answer: stdin and stderr are terminals, and CI is not set."""
    return os.isatty(0) and os.isatty(2) and not os.environ.get("CI")
