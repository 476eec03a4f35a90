"""A private Apache Kafka node in KRaft mode, run on the system's Java."""

import asyncio
import atexit
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from brokers.broker import BrokerUnavailable
from brokers.certificates import Certificates
from brokers.child import Child
from brokers.kafka_jars import KAFKA_VERSION, kafka_jars

START_TIMEOUT = 90.0
STOP_TIMEOUT = 15.0
JAVA_NEEDED = 17
JAVA_OPTIONS = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

# One node keeps everything: each internal topic has one replica and one partition. A small dedupe
# buffer lets the log cleaner run in this heap.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}/log
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.dedupe.buffer.size=2097152
log.cleaner.backoff.ms=500
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""


# Two more ways in: mutual TLS, and TLS with a user and a password.
SECURE = """\
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},MTLS://127.0.0.1:{tls},USERS://127.0.0.1:{sasl}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},MTLS://127.0.0.1:{tls},USERS://127.0.0.1:{sasl}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,MTLS:SSL,USERS:SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={certificates.authority}
listener.name.mtls.ssl.client.auth=required
listener.name.users.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.users.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
listener.name.users.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
"""  # noqa: E501
USER, PASSWORD = "ada", "s3cret"


class LocalKafka:
    """One Kafka node of our own, on free ports and in a data folder of its own.

    ``data`` is that folder; without it a temporary one is made, and removed by `stop`. With
    ``certificates`` it listens for TLS, too, at `mutual_tls` and `with_users`. ``java_options`` are
    for its heap and its collector.
    """

    version = KAFKA_VERSION

    def __init__(
        self,
        data: Path | None = None,
        certificates: Certificates | None = None,
        java_options: Sequence[str] = JAVA_OPTIONS,
    ) -> None:
        self._certificates = certificates
        self._java_options = java_options
        self._tls, self._sasl = free_ports(2)
        self._java = find_java()
        self._jars = kafka_jars()
        self._temporary = data is None
        self._data = Path(tempfile.mkdtemp(prefix="kafka-")) if data is None else data
        self._port, self._controller = free_ports(2)
        self._server: Child | None = None
        atexit.register(self.stop)

    @property
    def address(self) -> str:
        """Host and port, as a plain client takes them."""
        return f"127.0.0.1:{self._port}"

    @property
    def mutual_tls(self) -> str:
        """Where it asks for a client's certificate."""
        return f"127.0.0.1:{self._tls}"

    @property
    def with_users(self) -> str:
        """Where it asks for a user and a password, over TLS."""
        return f"127.0.0.1:{self._sasl}"

    @property
    def url(self) -> str:
        """The same as a backend takes it."""
        return f"kafka://{self.address}"

    @property
    def provenance(self) -> str:
        """Where the jars and the data are."""
        return f"local process, {self._jars}"

    def start(self) -> None:
        """Start the node, on the data and ports it had before, and wait until it answers."""
        if self._server is not None and self._server.poll() is None:
            return
        if not (self._data / "server.properties").exists():
            self._format()
        self._server = self._spawn("kafka.Kafka", str(self._data / "server.properties"))
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise BrokerUnavailable(f"Apache Kafka did not start:\n{self._output()}")
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL the node; the data stays."""
        if self._server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            self._server = None

    def sweep(self) -> None:
        """Delete all topics but Kafka's own."""
        self.start()
        asyncio.run(_delete_topics(self.address))

    def stop(self) -> None:
        """End the node, and remove its data when the folder is its own."""
        if self._server is not None:
            self._server.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(STOP_TIMEOUT)
            self.kill()
        if self._temporary:
            shutil.rmtree(self._data, ignore_errors=True)

    def _format(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        properties = self._data / "new.properties"
        properties.write_text(
            PROPERTIES.format(port=self._port, controller=self._controller, data=self._data)
        )
        arguments = ["-t", str(uuid.uuid4()), "-c", str(properties), "--ignore-formatted"]
        if self._certificates is not None:
            with properties.open("a") as more:
                more.write(self._secure(self._certificates))
            arguments += ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"]
        if self._spawn("kafka.tools.StorageTool", "format", *arguments).wait(START_TIMEOUT):
            raise BrokerUnavailable(f"Apache Kafka's storage is not formatted:\n{self._output()}")
        properties.rename(self._data / "server.properties")

    def _secure(self, certificates: Certificates) -> str:
        keystore = self._data / "keystore.pem"
        keystore.write_bytes(
            certificates.server_key.read_bytes() + certificates.server.read_bytes()
        )
        return SECURE.format(
            port=self._port,
            controller=self._controller,
            tls=self._tls,
            sasl=self._sasl,
            keystore=keystore,
            certificates=certificates,
            user=USER,
            password=PASSWORD,
        )

    def _spawn(self, main_class: str, *arguments: str) -> Child:
        command = [
            self._java,
            *self._java_options,
            "-cp",
            f"{self._jars}/*",
            main_class,
            *arguments,
        ]
        return Child(command, self._data / "output.log", cwd=self._data)

    def _answers(self) -> bool:
        """Whether the broker itself, not only its socket, takes requests."""
        if not listens(self._port):
            return False
        with contextlib.suppress(Exception):
            return asyncio.run(has_brokers(self.address))
        return False

    def _output(self) -> str:
        return (self._data / "output.log").read_text(errors="replace")[-2000:]


async def has_brokers(address: str) -> bool:
    """Whether a node takes requests."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=2000)
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["brokers"])
    finally:
        await admin.close()


async def _delete_topics(address: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    try:
        await admin.start()
        topics = [name for name in await admin.list_topics() if not name.startswith("__")]
        if topics:
            await admin.delete_topics(topics)
    finally:
        await admin.close()


def listens(port: int) -> bool:
    """Whether something takes connections at a port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def find_java() -> str:
    """The path of a Java that is new enough.

    Raises:
        BrokerUnavailable: there is none.
    """
    java = shutil.which("java")
    if java is None:
        raise BrokerUnavailable(f"no `java` on the path: install Java {JAVA_NEEDED} or newer")
    said = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < JAVA_NEEDED:
        raise BrokerUnavailable(
            f"{java} is not Java {JAVA_NEEDED} or newer, which Apache Kafka needs: {said.strip()}"
        )
    return java


def free_ports(count: int) -> list[int]:
    """So many ports of loopback that nobody listens at."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
