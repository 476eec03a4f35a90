"""How much memory consuming takes."""

import resource
import sys

from ..job import Job
from ..workload import Measured
from . import dispytch_side

UNIT = 1 if sys.platform == "darwin" else 1024


async def consume(job: Job) -> Measured:
    """As `dispytch_side.consume`, with the most that was ever resident, in MiB."""
    found = await dispytch_side.consume(job)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT / 2**20
    return Measured(found.values | {"peak": peak})
