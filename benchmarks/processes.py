"""Running one program in a process of its own."""

import asyncio
import json
from pathlib import Path

from .environments import Apart, Here
from .job import Job

ROOT = Path(__file__).parents[1]
TIMEOUT = 900.0


class ProgramFailed(Exception):
    """A program ended with an error; the text is the end of what it said."""


async def measured(job: Job, environment: Here | Apart) -> dict[str, float]:
    """What the program measures, by name.

    Raises:
        Unavailable: the environment cannot be had.
        ProgramFailed: it ended with an error, or took too long.
    """
    process = await asyncio.create_subprocess_exec(
        environment.interpreter(),
        "-m",
        "benchmarks.programs",
        job.written(),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            output, errors = await process.communicate()
    except TimeoutError:
        raise ProgramFailed(f"{job.program} took more than {TIMEOUT:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise ProgramFailed(f"{job.program} failed:\n{errors.decode(errors='replace')[-2000:]}")
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found
