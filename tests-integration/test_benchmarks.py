"""The benchmarks still run; how fast anything is, is not tested."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from brokers.broker import Broker

from benchmarks.results import CaseResult, Results

ROOT = Path(__file__).parents[1]
MAY_LACK = ("was not found", "cannot be installed")
"""What is said of a framework whose interpreter or package cannot be had here."""

pytestmark = pytest.mark.timeout(1200)


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


@pytest.fixture(scope="module")
def measured(
    kafka: Broker, rabbitmq: Broker, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, CaseResult]:
    """What a tiny run of all cases has kept, by name."""
    hatch, folder = shutil.which("hatch"), tmp_path_factory.mktemp("benchmarks")
    if hatch is None:
        pytest.skip("the benchmarks' environment is made by `hatch`, which is not on the path")
    ended = subprocess.run(
        [hatch, "run", "bench", "--events=300", "--rounds=1", f"--output={folder}"],
        cwd=ROOT,
        env=os.environ | {"KAFKA_URL": kafka.url, "RABBITMQ_URL": rabbitmq.url},
        capture_output=True,
        text=True,
        timeout=1100,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (folder / "results.md").read_text().startswith("Measured on ")
    return {case.name: case for case in Results.read(folder / "results.json").cases}


@pytest.mark.parametrize("name", listed())
def test_every_side_of_a_case_is_measured(measured: dict[str, CaseResult], name: str) -> None:
    case = measured[name]
    assert not case.missing
    assert case.goals
    for side in case.sides:
        absent = any(reason in side.missing for reason in MAY_LACK)
        assert absent or all(value >= 0 for value in side.rounds[0].values()), side
    absent = [side.name for side in case.sides if side.missing]
    assert absent or all(goal.values for goal in case.goals)
