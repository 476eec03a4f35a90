"""So many faults one after the other, drawn by a seed."""

import asyncio
import random
import sys
import time
from pathlib import Path
from typing import Final

from cluster.kafka_cluster import KafkaCluster
from cluster.stage import Reckoning, playing
from cluster.torments import QUICK, TORMENTS

MEMBERS: Final = 3
_CALM: Final = 2.0
"""Seconds between two faults at most; sometimes the next one comes before all is well."""
_FLOW_EVERY: Final = 5
"""After so many faults, events must be flowing again."""


async def mixed(
    cluster: KafkaCluster, unique: str, folder: Path, *, faults: int, seed: int
) -> Reckoning:
    """Run them, and reckon once all that was acknowledged is handled.

    Raises:
        AssertionError: events have stopped flowing, or not all of them are handled in the end.
    """
    draw, began = random.Random(seed), time.monotonic()
    async with playing(cluster, unique, folder, members=MEMBERS) as stage:
        for number in range(1, faults + 1):
            name = draw.choice(QUICK)
            print(f"{time.monotonic() - began:7.1f} s  {number:4} {name}", file=sys.stderr)
            await TORMENTS[name](stage, draw)
            await asyncio.sleep(_CALM * draw.random())
            if number % _FLOW_EVERY == 0:
                await stage.flow()
        await stage.flow()
    return stage.reckoning()
