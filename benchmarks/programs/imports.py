"""What an import costs, in interpreters that have imported nothing yet."""

import json
import os
import subprocess
import sys
from statistics import median

from ..job import Job
from ..workload import Measured

TIMES = 5
DRIVERS = ("aiokafka", "aio_pika", "aiormq")
SCRIPT = """\
import json, sys, time
began = time.process_time()
{statement}
spent = time.process_time() - began
print(json.dumps([spent * 1000, sum(name in sys.modules for name in {drivers})]))
"""


async def imported(job: Job) -> Measured:
    """Processor time of an import in milliseconds, and how many drivers it has imported.

    statement: the import.
    """
    script = SCRIPT.format(statement=job.options["statement"], drivers=DRIVERS)
    found = [_ran(script) for _ in range(TIMES + 1)][1:]  # The first one may have compiled.
    return Measured(
        {"ms": median(spent for spent, _ in found), "drivers": max(count for _, count in found)}
    )


def _ran(script: str) -> tuple[float, int]:
    # An installed package has its bytecode; a checkout must be allowed to keep it.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=kept
    )
    spent, drivers = json.loads(ended.stdout)
    return spent, drivers
