"""Measures dispytch beside its references: ``hatch run bench``."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from datetime import date

from .arguments import Arguments, parsed
from .brokers import Brokers
from .case import Case
from .cases import CASES
from .machine import machine, versions
from .pages import write_docs
from .report import judged, table
from .results import CaseResult, Results
from .runner import Extent, Runner


async def run(cases: Sequence[Case], extent: Extent) -> Results:
    """Run the cases, and print what came of each when it is through."""
    with Brokers() as brokers:
        runner = Runner(brokers, extent, lambda line: print(line, flush=True))
        done: list[CaseResult] = []
        for case in cases:
            done.append(await runner.run(case))
            print(judged(done[-1]), flush=True)
        return Results(
            form="full" if extent.full else "short",
            day=date.today().isoformat(),
            machine=machine(),
            versions=versions() | brokers.versions,
            cases=done,
        )


def kept(results: Results, given: Arguments) -> None:
    """Write the results, and the documentation if that was asked for."""
    given.output.mkdir(parents=True, exist_ok=True)
    results.write(given.output / "results.json")
    (given.output / "results.md").write_text(table(results))
    print(f"\nresults: {given.output}/results.json and results.md")
    if given.docs:
        write_docs(results, [case.name for case in CASES])


def main() -> int:
    """Do what the command line says; a case that failed is a failure."""
    given = parsed(CASES)
    # By itself SIGTERM would end this process alone, and leave its brokers running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    if given.again:
        results = Results.read(given.again)
    else:
        results = asyncio.run(run(given.cases, given.extent))
    kept(results, given)
    return int(any(case.failed for case in results.cases))


if __name__ == "__main__":
    sys.exit(main())
