"""The benchmarks still run; how fast anything is, is not tested."""

import subprocess
import sys
from pathlib import Path

import pytest
from brokers.broker import Broker

ROOT = Path(__file__).parents[1]


def ratio(name: str, *arguments: str) -> str:
    """The last line of what a benchmark prints, run for one short round."""
    ended = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments, "--events=500", "--rounds=1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.splitlines()[-1]


def test_the_engine_is_measured() -> None:
    assert ratio("engine").startswith("dispytch / bare loop: ")


@pytest.mark.parametrize("name", ["consume", "emit"])
class TestBesideTheDriver:
    def test_on_kafka(self, kafka: Broker, name: str) -> None:
        assert ratio(name, kafka.url).startswith("dispytch / aiokafka: ")

    def test_on_rabbitmq(self, rabbitmq: Broker, name: str) -> None:
        assert ratio(name, rabbitmq.url).startswith("dispytch / aio-pika: ")
