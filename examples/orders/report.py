"""What the terminal shows: the log while events flow, and the figures at the end."""

import logging
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table
from rich.text import Text

from dispytch import DeadLetter

console = Console()


@dataclass(frozen=True)
class Figures:
    """How many events were emitted, and what became of them."""

    emitted: int
    handled: int
    retried: int
    dead_lettered: int


def show_log() -> None:
    """Show what dispytch and the handlers log, with a line for an error instead of its trace."""
    handler = RichHandler(console=console, show_path=False, log_time_format="%X")
    handler.setFormatter(_OneLineErrors())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in ("dispytch", "orders"):
        logging.getLogger(name).setLevel(logging.INFO)


def show(figures: Figures, expected: Figures) -> None:
    """Show the figures beside those that were expected."""
    table = Table("events", "counted", "expected", "")
    wanted = asdict(expected)
    for name, counted in asdict(figures).items():
        verdict = "[green]ok[/]" if counted == wanted[name] else "[red]wrong[/]"
        table.add_row(name, str(counted), str(wanted[name]), verdict)
    console.print(table)


def show_letters(letters: Sequence[DeadLetter]) -> None:
    """Show what was given up, and why."""
    for letter in letters:
        console.print(Text.assemble(("dead letter: ", "bold"), f"{letter.error}, {letter.handler}"))


def show_error(error: Exception) -> None:
    """Show why the service could not run."""
    console.print(Text.assemble((f"{type(error).__name__}: ", "bold red"), str(error)))


class _OneLineErrors(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info and (error := record.exc_info[1]) is not None:
            record = copy(record)
            record.exc_text = f"{type(error).__name__}: {error}"
        return super().format(record)
