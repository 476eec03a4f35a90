"""Several processes that share a topic."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import psutil

from dispytch import Dependency, Event, EventListener, HandlerGroup

from ..job import Job
from ..workload import EVENT_TYPE, Measured, Order
from .progress import Progress, rate

REPORT_EVERY = 0.05
HERE = "benchmarks.programs"


async def listeners(job: Job) -> Measured:
    """Events per second of all members while all of them are busy.

    processes: how many there are. ``busy`` is how many cores of the machine were, the broker's
    share with it.
    """
    members = [Progress() for _ in range(job.options["processes"])]
    processes = [await _started(replace(job, program="scale:member")) for _ in members]

    def is_through() -> bool:
        return sum(member.count for member in members) >= job.events

    try:
        for process in processes:
            await process.stdout.readline()  # It has imported everything.
        before, began = _busy(), time.monotonic()
        async with asyncio.TaskGroup() as following:
            for process, member in zip(processes, members, strict=True):
                process.stdin.write(b"go\n")
                following.create_task(_followed(process, member, is_through))
        busy = (_busy() - before) / (time.monotonic() - began)
    finally:
        await _killed(processes)
    return Measured({"rate": rate(members), "busy": busy, "cores": float(os.cpu_count() or 1)})


@dataclass
class Handled:
    """How many events a member has handled."""

    count: int = 0


async def member(job: Job) -> Measured:
    """One of the processes: says how many events it has handled, until it is killed."""
    handlers, handled = HandlerGroup(), Handled()

    def get_handled() -> Handled:
        return handled

    @handlers.handler(topic=job.topic, event=EVENT_TYPE)
    async def handle(
        event: Event[Order], handled: Annotated[Handled, Dependency(get_handled)]
    ) -> None:
        handled.count += 1

    listener = EventListener(job.url, group=job.group)
    listener.add_handler_group(handlers)
    print("ready", flush=True)
    sys.stdin.readline()
    async with listener:
        while True:
            print(time.monotonic(), handled.count, flush=True)
            await asyncio.sleep(REPORT_EVERY)


async def _started(job: Job) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        HERE,
        job.written(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def _followed(
    process: asyncio.subprocess.Process, member: Progress, is_through: Callable[[], bool]
) -> None:
    assert process.stdout is not None
    while not is_through():
        line = await process.stdout.readline()
        if not line:
            raise RuntimeError("one of the processes has ended before all events were handled")
        moment, count = line.split()
        member.add(float(moment), int(count))


async def _killed(processes: list[asyncio.subprocess.Process]) -> None:
    for process in processes:
        if process.returncode is None:
            process.kill()
    # Its output is read to the end, as a pipe that is full would keep it from ending.
    await asyncio.gather(*(process.communicate() for process in processes))


def _busy() -> float:
    """Seconds of processor time that this machine has spent on anything."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
