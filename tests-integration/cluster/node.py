"""One of the nodes of a Kafka cluster on loopback."""

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brokers.broker import BrokerUnavailable
from brokers.child import Child
from brokers.kafka_jars import kafka_jars
from brokers.local_kafka import find_java, has_brokers, listens

START_TIMEOUT: Final = 90.0
STOP_TIMEOUT: Final = 30.0
JAVA_OPTIONS: Final = ("-Xms192m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

# Services reach a node through a proxy, by one of two listeners: one of them may be cut off
# while the others are not. The nodes among themselves, and the tests, need no proxy.
PROPERTIES: Final = """\
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=PLAIN://127.0.0.1:{ports.plain},CONTROLLER://127.0.0.1:{ports.controller},\
INTERNAL://127.0.0.1:{ports.internal},MANY://127.0.0.1:{ports.many},ONE://127.0.0.1:{ports.one}
advertised.listeners=PLAIN://127.0.0.1:{ports.plain},INTERNAL://127.0.0.1:{ports.internal},\
MANY://127.0.0.1:{ports.many_proxy},ONE://127.0.0.1:{ports.one_proxy}
controller.listener.names=CONTROLLER
inter.broker.listener.name=INTERNAL
listener.security.protocol.map=PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,\
MANY:PLAINTEXT,ONE:PLAINTEXT
log.dirs={data}/log
num.partitions=4
default.replication.factor=3
min.insync.replicas=2
auto.create.topics.enable=false
offsets.topic.num.partitions=3
offsets.topic.replication.factor=3
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=2097152
log.segment.bytes=1048576
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=1
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one node. Those of the proxies are where clients find it."""

    plain: int
    controller: int
    internal: int
    many: int
    one: int
    many_proxy: int
    one_proxy: int


class Node:
    """One node: it can be killed, stopped, suspended, starved of space, and started again."""

    def __init__(self, number: int, ports: Ports, data: Path, voters: str, cluster: str) -> None:
        self.number: Final = number
        self.ports: Final = ports
        self._data = data
        self._voters = voters
        self._cluster = cluster
        self._java, self._jars = find_java(), kafka_jars()
        self._server: Child | None = None

    @property
    def address(self) -> str:
        """Host and port without a proxy."""
        return f"127.0.0.1:{self.ports.plain}"

    @property
    def running(self) -> bool:
        """Whether its process has not ended."""
        return self._server is not None and self._server.poll() is None

    @property
    def output(self) -> str:
        """The end of what it has said."""
        return (self._data / "output.log").read_text(errors="replace")[-2000:]

    def launch(self) -> None:
        """Start it, and return at once."""
        if not self.running:
            if not (self._data / "server.properties").exists():
                self._format()
            self._server = self._spawn("kafka.Kafka", str(self._data / "server.properties"))

    def wait(self) -> None:
        """Return once it answers.

        Raises:
            BrokerUnavailable: it does not in time.
        """
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if not self.running or time.monotonic() > deadline:
                raise BrokerUnavailable(f"node {self.number} did not start:\n{self.output}")
            time.sleep(0.1)

    def start(self) -> None:
        """Start it, on the data and ports it had before, and wait until it answers."""
        self.launch()
        self.wait()

    def kill(self) -> None:
        """SIGKILL; the data stays."""
        if self._server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            self._server = None

    def stop(self) -> None:
        """End it in order: it hands over what it leads."""
        if self._server is not None and self.running:
            self._server.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(STOP_TIMEOUT)
        self.kill()

    def suspend(self) -> None:
        """Have its process stand still, with all its connections open."""
        if self._server is not None and self.running:
            os.killpg(self._server.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on."""
        if self._server is not None and self.running:
            os.killpg(self._server.pid, signal.SIGCONT)

    def fill_disk(self, room: int = 4096) -> None:
        """Let no file grow beyond so many bytes, as on a full disk, until it is started again."""
        assert self._server is not None
        _, hard = resource.prlimit(self._server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._server.pid, resource.RLIMIT_FSIZE, (room, hard))

    def _format(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        properties = self._data / "new.properties"
        properties.write_text(
            PROPERTIES.format(
                number=self.number, voters=self._voters, ports=self.ports, data=self._data
            )
        )
        arguments = ["format", "-t", self._cluster, "-c", str(properties), "--ignore-formatted"]
        if self._spawn("kafka.tools.StorageTool", *arguments).wait(int(START_TIMEOUT)):
            raise BrokerUnavailable(f"node {self.number} is not formatted:\n{self.output}")
        properties.rename(self._data / "server.properties")

    def _spawn(self, main_class: str, *arguments: str) -> Child:
        command: Sequence[str] = (
            self._java,
            *JAVA_OPTIONS,
            "-cp",
            f"{self._jars}/*",
            main_class,
            *arguments,
        )
        return Child(command, self._data / "output.log", cwd=self._data)

    def _answers(self) -> bool:
        if not listens(self.ports.plain):
            return False
        with contextlib.suppress(Exception):
            return asyncio.run(has_brokers(self.address))
        return False
