"""The brokers to measure on: those that URLs name, else our own, started as the tests do it."""

import asyncio
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from .unavailable import Unavailable

if TYPE_CHECKING:
    from brokers.broker import Broker

ROOT = Path(__file__).parents[1]
JAVA_OPTIONS = ("-Xms1g", "-Xmx1g", "-Xmn600m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""For Kafka: in a small heap it collects garbage for 20 ms every other second, which every latency
would show."""

VARIABLES = {"kafka": "KAFKA_URL", "rabbitmq": "RABBITMQ_URL"}


class Brokers:
    """Starts a broker when a case first asks for it, and ends those that it has started."""

    def __init__(self) -> None:
        self._own: dict[str, Broker] = {}
        self._missing: dict[str, str] = {}
        self.versions: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for broker in self._own.values():
            broker.stop()

    async def url(self, name: str) -> str:
        """The URL of ``kafka`` or ``rabbitmq``.

        Raises:
            Unavailable: there is none.
        """
        given = os.environ.get(VARIABLES[name])
        if given:
            self.versions[name] = "as a URL names it"
            return given
        if name in self._missing:
            raise Unavailable(self._missing[name])
        if name not in self._own:
            await asyncio.to_thread(self._start, name)
        return self._own[name].url

    def _start(self, name: str) -> None:
        from brokers.broker import BrokerUnavailable

        reasons: list[str] = []
        for way in _ways(name):
            try:
                broker = way()
                broker.start()
            except BrokerUnavailable as reason:
                reasons.append(str(reason))
                continue
            self._own[name] = broker
            self.versions[name] = f"{broker.version}, {broker.provenance.partition(',')[0]}"
            return
        self._missing[name] = f"no {name}: {'; '.join(reasons)}; or set {VARIABLES[name]}"
        raise Unavailable(self._missing[name])


def _ways(name: str) -> list[Callable[[], "Broker"]]:
    from brokers.containers import kafka_container, rabbitmq_container
    from brokers.local_kafka import LocalKafka
    from brokers.local_rabbitmq import LocalRabbitMQ

    ways: dict[str, list[Callable[[], Broker]]] = {
        "kafka": [kafka_container, partial(LocalKafka, java_options=JAVA_OPTIONS)],
        "rabbitmq": [rabbitmq_container, LocalRabbitMQ],
    }
    return ways[name]


sys.path.append(str(ROOT / "tests-integration"))
