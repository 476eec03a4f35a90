"""The example service, as `make demo` runs it, on every backend."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def demo(url: str) -> subprocess.CompletedProcess[str]:
    """Run the example service in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "examples.orders", url],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "FORCE_COLOR": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )


def figures(output: str) -> dict[str, str]:
    """The figures of the table at the end."""
    rows = [line.split("│") for line in output.splitlines() if line.startswith("│")]
    return {cells[1].strip(): cells[2].strip() for cells in rows}


@pytest.mark.timeout(150)
def test_the_demo_counts_what_it_should_every_time(broker_url: str) -> None:
    for _ in range(2):
        ended = demo(broker_url)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert figures(ended.stdout) == {
            "emitted": "11",
            "handled": "10",
            "retried": "2",
            "dead_lettered": "1",
        }
        assert "Grace paid, attempt 2" in ended.stdout
        assert "CardDeclined: the bank refuses" in ended.stdout
        assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "url",
    [
        "kafka://localhost:9/?connect_timeout=2",
        "rabbitmq://guest:guest@localhost:9/?connect_timeout=2",
    ],
)
def test_without_a_broker_the_demo_says_so(url: str) -> None:
    began = time.monotonic()
    ended = demo(url)
    assert time.monotonic() - began < 30
    assert ended.returncode == 1
    assert "BrokerUnreachable" in ended.stdout
    assert "localhost:9" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_without_the_backend_the_demo_says_which_there_are() -> None:
    ended = demo("nats://localhost")
    assert ended.returncode == 1
    assert "BackendNotFound: no backend 'nats' is installed; there are:" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
