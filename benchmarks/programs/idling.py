"""What a program costs that has nothing to do."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from ..job import Job
from ..workload import Measured

SETTLING = 1.0
"""Seconds in which it may still be busy with its start."""


async def idled(job: Job, run: Callable[[float], Awaitable[None]] = asyncio.sleep) -> Measured:
    """Processor time in percent of a core. seconds: how long it is watched. run: for so long."""
    await run(SETTLING)
    began, cpu = time.monotonic(), time.process_time()
    await run(job.options["seconds"])
    spent = (time.process_time() - cpu) / (time.monotonic() - began)
    return Measured({"percent": spent * 100})
