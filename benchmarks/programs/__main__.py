"""Runs one program in this process; the last line that it prints is what was measured."""

import asyncio
import importlib
import json
import logging
import os
import sys

from ..job import Job
from ..workload import Measured


def log_as_in_production() -> None:
    """Everything from INFO on, to a stream that costs no terminal."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=open(os.devnull, "w"),  # noqa: SIM115 - it lives as long as the process
    )


def run(job: Job) -> Measured:
    """What the job's program measures."""
    module, _, function = job.program.partition(":")
    program = getattr(importlib.import_module(f"{__package__}.{module}"), function)
    factory = None
    if job.loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(program(job))


if __name__ == "__main__":
    log_as_in_production()
    print(json.dumps(run(Job.read(sys.argv[1])).values))
