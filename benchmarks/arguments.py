"""What can be said on the command line of a benchmark."""

import argparse
from dataclasses import dataclass


@dataclass(frozen=True)
class Arguments:
    """Where to measure, how many events in each round, and how many rounds."""

    url: str
    events: int
    rounds: int


def parsed(description: str | None, *, needs_url: bool, events: int) -> Arguments:
    """The command line's arguments; ``events`` is the default for how many."""
    parser = argparse.ArgumentParser(description=description)
    if needs_url:
        parser.add_argument("url", help="kafka://host:port or rabbitmq://user:password@host/")
    parser.add_argument("--events", type=int, default=events, help="in each round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="for each side (%(default)s)")
    given = parser.parse_args()
    return Arguments(getattr(given, "url", ""), given.events, given.rounds)
