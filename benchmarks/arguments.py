"""What can be said on the command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .case import Case
from .runner import Extent


@dataclass(frozen=True)
class Arguments:
    """Which cases to run, how much of them, and where to put what they show.

    output: a folder for the results. docs: whether the documentation is written anew from them.
    again: results that were measured before, to write the documentation from.
    """

    cases: tuple[Case, ...]
    extent: Extent
    output: Path
    docs: bool
    again: Path | None


def parsed(cases: Sequence[Case], given: Sequence[str] | None = None) -> Arguments:
    """The command line's arguments."""
    parser = argparse.ArgumentParser(prog="hatch run bench", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="all of them, if none is given")
    parser.add_argument("--list", action="store_true", help="name the cases, and end")
    parser.add_argument("--full", action="store_true", help="the long form, for figures to keep")
    parser.add_argument("--events", type=_positive, help="in each round, instead of the form's")
    parser.add_argument("--rounds", type=_positive, help="instead of the form's")
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"), metavar="FOLDER")
    parser.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.* anew")
    parser.add_argument(
        "--again", type=Path, metavar="JSON", help="run nothing: take these results"
    )
    said = parser.parse_args(given)
    if said.list:
        print("\n".join(f"{case.name:28} {case.title}" for case in cases))
        parser.exit()
    known = {case.name: case for case in cases}
    if unknown := [name for name in said.cases if name not in known]:
        parser.error(f"there is no case {', '.join(unknown)}; the cases are {', '.join(known)}")
    return Arguments(
        tuple(known[name] for name in dict.fromkeys(said.cases)) or tuple(cases),
        Extent(said.full, said.events, said.rounds),
        said.output,
        said.write_docs,
        said.again,
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number
