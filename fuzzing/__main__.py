"""``hatch run fuzz``: so many inputs, shared out among the targets, and a table of what was found.

``--inputs N`` in all, ``--seed S``, ``--target NAME`` (again for more), ``--again FILE`` runs one
input that was found once more and shows where it ends.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from fuzzing.target import Target
from fuzzing.targets import all_targets, room_of

FOLDER: Final = Path(__file__).parent / "findings"
PROCESSES: Final = 2


def main() -> int:
    """Run what the command line asks for; 1 when something was found."""
    known = all_targets()
    asked = _arguments(sorted(known))
    if asked.again is not None:
        name = asked.again.name.rpartition("-")[0]
        known[name].run(asked.again.read_bytes())
        return 0
    targets = [known[name] for name in asked.target or known]
    began = time.monotonic()
    reports = _run(targets, asked.inputs, asked.seed)
    print(*_table(reports, time.monotonic() - began), sep="\n")
    found = list(_findings(reports))
    print(*found, sep="\n")
    return int(bool(found))


def _arguments(names: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hatch run fuzz", description="hostile input")
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", choices=names)
    parser.add_argument("--again", type=Path)
    return parser.parse_args()


def _run(targets: Sequence[Target], inputs: int, seed: int) -> dict[str, dict[str, Any]]:
    whole = sum(target.weight for target in targets)
    shares = [max(100, round(inputs * target.weight / whole)) for target in targets]
    with ThreadPoolExecutor(PROCESSES) as processes:
        found = processes.map(_run_one, targets, shares, [seed] * len(targets))
        return {target.name: one for target, one in zip(targets, found, strict=True)}


def _run_one(target: Target, inputs: int, seed: int) -> dict[str, Any]:
    report = FOLDER / f"{target.name}.json"
    FOLDER.mkdir(exist_ok=True)
    report.unlink(missing_ok=True)
    told = (room_of(target.name), target.name, str(inputs), str(seed), str(FOLDER))
    with (FOLDER / f"{target.name}.log").open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-m", "fuzzing.child", *told], check=False, stdout=log, stderr=log
        )
    if report.exists():
        found: dict[str, Any] = json.loads(report.read_text())
        return found
    text = f"the process ended with {done.returncode}, see {log.name}"
    finding = {"text": text, "place": "", "file": "", "times": 1}
    return {"inputs": 0, "seconds": 0, "slowest": 0, "peak_mb": 0, "findings": [finding]}


def _table(reports: dict[str, dict[str, Any]], seconds: float) -> Iterator[str]:
    yield "| Target | Inputs | per second | slowest | peak memory | findings |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name, one in reports.items():
        rate = one["inputs"] / max(one["seconds"], 1e-9)
        yield (
            f"| {name} | {one['inputs']:,} | {rate:,.0f} | {one['slowest'] * 1000:.0f} ms "
            f"| {one['peak_mb']} MB | {len(one['findings'])} |"
        )
    inputs = sum(one["inputs"] for one in reports.values())
    found = sum(len(one["findings"]) for one in reports.values())
    peak = max(one["peak_mb"] for one in reports.values())
    rate = inputs / seconds
    yield f"| all, in {seconds:,.0f} s | {inputs:,} | {rate:,.0f} | | {peak} MB | {found} |"


def _findings(reports: dict[str, dict[str, Any]]) -> Iterator[str]:
    for name, one in reports.items():
        for found in one["findings"]:
            yield f"{name}: {found['text']} ({found['times']} times) at {found['place']}"
            if found["file"]:
                yield f"    hatch run fuzz --again {FOLDER / 'inputs' / found['file']}"


if __name__ == "__main__":
    sys.exit(main())
