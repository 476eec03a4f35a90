"""The benchmarks still run; how fast anything is, is not tested."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from brokers.broker import Broker

ROOT = Path(__file__).parents[1]
EVENTS = 300


def listed() -> list[str]:
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert said.stdout, "no cases"
    return [line.split()[0] for line in said.stdout.splitlines()]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", listed())
def test_every_side_of_a_case_is_measured(
    kafka: Broker, rabbitmq: Broker, tmp_path: Path, name: str
) -> None:
    case = measured(name, tmp_path, KAFKA_URL=kafka.url, RABBITMQ_URL=rabbitmq.url)
    assert case["sides"]
    for side in case["sides"]:
        assert side.get("rounds") or "was not found" in side["missing"], side
    assert [goal for goal in case["goals"] if goal.get("values")]


def measured(name: str, folder: Path, **environment: str) -> dict[str, Any]:
    """What a tiny run of one case has kept."""
    hatch = shutil.which("hatch")
    if hatch is None:
        pytest.skip("the benchmarks' environment is made by `hatch`, which is not on the path")
    ended = subprocess.run(
        [hatch, "run", "bench", name, f"--events={EVENTS}", "--rounds=1", f"--output={folder}"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=380,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (case,) = json.loads((folder / "results.json").read_text())["cases"]
    found: dict[str, Any] = case
    return found
