"""Guards what dispatch costs per event: fails when it has grown by more than a fifth.

What is compared is a ratio, of dispatch to validation in the same process: that is nearly the same
on a fast and a slow machine, where microseconds are not. Both are measured in many short slices
that alternate, in processor time; the cheapest slice of each counts, as whatever else the machine
does can only make a slice dearer.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from .programs.dispatch import SHAPES, dispatched, ready, validated

BASELINE = Path(__file__).with_name("guard.json")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
SLICES = 40
EVENTS = 1_000
MAY_GROW = 1.2


def measured(slices: int = SLICES) -> dict[str, float]:
    """Dispatch, validation included, as a multiple of validation, for each shape of a handler."""
    return asyncio.run(_measured(slices))


async def _measured(slices: int) -> dict[str, float]:
    backend = await ready(EVENTS)
    dispatch = {shape: float("inf") for shape in SHAPES}
    validation = float("inf")
    for _ in range(slices):
        validation = min(validation, validated(EVENTS, EVENTS))
        for shape in SHAPES:
            spent = await dispatched(backend, EVENTS, shape)
            dispatch[shape] = min(dispatch[shape], spent)
    return {shape: spent / validation for shape, spent in dispatch.items()}


def grown(found: dict[str, float], baseline: dict[str, float]) -> Iterator[str]:
    """A line for each shape that costs more than it may, or that nobody has measured before."""
    for shape, ratio in found.items():
        before = baseline.get(shape)
        if before is None:
            yield f"{shape}: has no baseline"
        elif ratio > before * MAY_GROW:
            yield f"{shape}: {ratio:.2f} × validation, {ratio / before - 1:.0%} above {before:.2f}"


def main() -> int:
    """Compare with the baseline of this version of Python, or record a new one."""
    parser = argparse.ArgumentParser(prog="hatch run guard", description=__doc__)
    parser.add_argument("--record", action="store_true", help="make this the new baseline")
    record = parser.parse_args().record
    baselines = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    found = measured()
    for shape, ratio in found.items():
        print(f"dispatch, {shape}: {ratio:.2f} × validation on Python {VERSION}")
    if record:
        baselines[VERSION] = {shape: round(ratio, 2) for shape, ratio in found.items()}
        BASELINE.write_text(json.dumps(baselines, indent=1, sort_keys=True) + "\n")
        return 0
    if VERSION not in baselines:
        print(f"not judged: {BASELINE.name} has no baseline for Python {VERSION}; use --record")
        return 0
    faults = list(grown(found, baselines[VERSION]))
    for fault in faults:
        print(f"dispatch has become dearer: {fault}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
