"""So many faults one after the other, drawn by a seed."""

import asyncio
import random
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from cluster.kafka_cluster import KafkaCluster
from cluster.stage import Reckoning, playing
from cluster.torments import QUICK, TORMENTS

MEMBERS: Final = 3
_CALM: Final = 2.0
"""Seconds between two faults at most; sometimes the next one comes before all is well."""
_FLOW_EVERY: Final = 5
"""After so many faults, events must be flowing again."""


async def mixed(
    cluster: KafkaCluster,
    unique: str,
    folder: Path,
    *,
    faults: int,
    seed: int,
    names: Sequence[str] = QUICK,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> Reckoning:
    """Run so many of these, and reckon once all that was acknowledged is handled.

    Raises:
        AssertionError: events have stopped flowing, or not all of them are handled in the end.
    """
    draw, began = random.Random(seed), time.monotonic()
    async with playing(cluster, unique, folder, members=MEMBERS, settings=settings) as stage:
        for number in range(1, faults + 1):
            name = draw.choice(names)
            print(f"{time.monotonic() - began:7.1f} s  {number:4} {name}", file=sys.stderr)
            await TORMENTS[name](stage, draw)
            await asyncio.sleep(_CALM * draw.random())
            if number % _FLOW_EVERY == 0:
                await stage.flow()
        await stage.flow()
    return stage.reckoning()
