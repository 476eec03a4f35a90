"""Three Kafka nodes on loopback, each with a proxy before it."""

import atexit
import shutil
import tempfile
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from brokers.local_kafka import free_ports
from brokers.proxy import Proxy
from cluster.node import Node, Ports
from cluster.proxies import Proxies

NODES: Final = 3
T = TypeVar("T")


class KafkaCluster:
    """Nodes by their numbers from 1, and the proxies before them.

    `many` is where services find the cluster, `one` is for a single member that is to be cut off,
    and `plain` for those who look at what happens.
    """

    def __init__(self) -> None:
        self._data = Path(tempfile.mkdtemp(prefix="kafka-cluster-"))
        ports = [Ports(*free) for free in _grouped(free_ports(7 * NODES), 7)]
        voters = ",".join(f"{n}@127.0.0.1:{one.controller}" for n, one in enumerate(ports, 1))
        name = str(uuid.uuid4())
        self.nodes: Final[dict[int, Node]] = {
            number: Node(number, one, self._data / f"n{number}", voters, name)
            for number, one in enumerate(ports, 1)
        }
        self._proxies = Proxies()
        self._many = self._before(lambda ports: (ports.many_proxy, ports.many))
        self._one = self._before(lambda ports: (ports.one_proxy, ports.one))
        atexit.register(self.stop)

    @property
    def plain(self) -> str:
        """Addresses without proxies."""
        return ",".join(node.address for node in self.nodes.values())

    @property
    def many(self) -> str:
        """Addresses through the proxies that `hang`, `refuse` and `delay` work on."""
        return _addresses(node.ports.many_proxy for node in self.nodes.values())

    @property
    def one(self) -> str:
        """Addresses through the proxies that `cut_off` works on."""
        return _addresses(node.ports.one_proxy for node in self.nodes.values())

    def start(self) -> None:
        """Start those that do not run, and wait for all."""
        for node in self.nodes.values():
            node.launch()
        for node in self.nodes.values():
            node.wait()

    def heal(self) -> None:
        """End every torment: all run, nothing is held up."""
        self._proxies.heal()
        for node in self.nodes.values():
            node.resume()
        self.start()

    def stop(self) -> None:
        """End it for good, with its data."""
        for node in self.nodes.values():
            node.resume()
            node.kill()
        if self._data.exists():
            self._proxies.close()
        shutil.rmtree(self._data, ignore_errors=True)

    def hang(self, number: int) -> None:
        """A node says nothing any more, and ends no connection."""
        self._proxies.set(self._many[number], "hanging")

    def refuse(self, number: int) -> None:
        """A node cannot be reached."""
        self._proxies.set(self._many[number], "refusing")

    def delay(self, number: int, seconds: float) -> None:
        """A node answers late."""
        self._proxies.set(self._many[number], "delaying", seconds)

    def reset(self, number: int) -> None:
        """Every connection to a node ends at once."""
        self._proxies.reset(self._many[number])

    def open(self, number: int) -> None:
        """A node can be reached again."""
        self._proxies.set(self._many[number], "open")

    def cut_off(self) -> None:
        """Whoever came by `one` reaches no node, and hears of no end."""
        for proxy in self._one.values():
            self._proxies.set(proxy, "hanging")

    def join_again(self) -> None:
        """Whoever came by `one` reaches all nodes again."""
        for proxy in self._one.values():
            self._proxies.set(proxy, "open")

    async def leader(self, topic: str, partition: int = 0) -> int:
        """The node that leads a partition."""
        async with _Admin(self.plain) as admin:
            (found,) = await admin.describe_topics([topic])
        return next(
            int(one["leader"]) for one in found["partitions"] if one["partition"] == partition
        )

    async def coordinator(self, group: str) -> int:
        """The node that coordinates a group."""
        client = AIOKafkaClient(bootstrap_servers=self.plain)
        await client.bootstrap()
        try:
            return int(await client.coordinator_lookup(0, group))
        finally:
            await client.close()

    def _before(self, ports: Callable[[Ports], tuple[int, int]]) -> dict[int, Proxy]:
        return {
            number: self._proxies.add(*ports(node.ports)) for number, node in self.nodes.items()
        }


class _Admin:
    """An admin client that closes itself."""

    def __init__(self, addresses: str) -> None:
        self._client: Any = AIOKafkaAdminClient(bootstrap_servers=addresses)

    async def __aenter__(self) -> Any:
        await self._client.start()
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()


def _addresses(ports: Any) -> str:
    return ",".join(f"127.0.0.1:{port}" for port in ports)


def _grouped(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
