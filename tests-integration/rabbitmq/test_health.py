"""Health is green only while events can flow."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from urllib.parse import urlsplit

import aio_pika
import pytest
from brokers.broker import Broker
from brokers.local_rabbitmq import LocalRabbitMQ
from brokers.proxy import Proxy, proxied
from rabbitmq.setting import delete_queue

from dispytch import Event, EventListener, HandlerGroup
from dispytch.health import Health
from dispytch.rabbitmq import partitions

PATIENCE = 60.0


def listener(url: str, unique: str) -> EventListener:
    group = HandlerGroup()

    @group.handler(topic=f"orders.{unique}")
    async def take(event: Event) -> None:
        """Whatever comes."""

    made = EventListener(url, group=f"g.{unique}")
    made.add_handler_group(group)
    return made


async def health(of: EventListener, wanted: Callable[[Health], bool]) -> Health:
    """The first health that is as wanted."""
    async with asyncio.timeout(PATIENCE):
        while True:
            seen = await of.health()
            if wanted(seen):
                return seen
            await asyncio.sleep(0.05)


@pytest.fixture
async def proxy(rabbitmq: Broker) -> AsyncGenerator[Proxy]:
    parts = urlsplit(rabbitmq.url)
    assert parts.hostname
    assert parts.port
    async with proxied(parts.hostname, parts.port) as proxy:
        yield proxy


@pytest.fixture
def through(rabbitmq: Broker, proxy: Proxy) -> str:
    """The broker's URL, by way of the proxy."""
    parts = urlsplit(rabbitmq.url)
    return f"amqp://{parts.username}:{parts.password}@127.0.0.1:{proxy.port}{parts.path}"


@pytest.mark.parametrize("options", ["", "?partitions=2"])
async def test_while_the_broker_is_away_health_is_red_all_the_time(
    proxy: Proxy, through: str, unique: str, options: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with listener(through + options, unique) as running:
        assert await running.health()
        proxy.set("refusing")
        await health(running, lambda seen: not seen.streams)
        until = time.monotonic() + 6
        while time.monotonic() < until:
            red = await running.health()
            assert not red.connected
            assert any("RabbitMQ at amqp://127.0.0.1" in problem for problem in red.problems)
            assert (red.streams, dict(red.lag)) == ((), {})
            await asyncio.sleep(0.1)
        proxy.set("open")
        await health(running, lambda seen: bool(seen) and bool(seen.streams))
    assert "over after" in caplog.text


async def test_a_broker_that_does_not_answer_is_red(
    proxy: Proxy, through: str, unique: str
) -> None:
    async with listener(through, unique) as running:
        proxy.set("hanging")
        for _ in range(2):
            red = await running.health()
            assert any("the broker does not answer" in problem for problem in red.problems)
            assert dict(red.lag) == {}
        proxy.set("open")
        await health(running, lambda seen: bool(seen) and bool(seen.streams))


async def test_a_deleted_queue_is_named_until_it_is_consumed_again(
    node: LocalRabbitMQ, url: str, unique: str
) -> None:
    name = f"queue orders.{unique}:g.{unique} "
    async with listener(url, unique) as running:
        await delete_queue(node, url)
        red = await health(running, lambda seen: not seen)
        assert any(problem.startswith(name) for problem in red.problems), red.problems
        await health(running, lambda seen: bool(seen) and len(seen.streams) == 2)


async def test_a_partition_that_somebody_else_consumes_is_a_problem(
    rabbitmq: Broker, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "LACKING_AFTER", 0.5)
    url = f"{rabbitmq.url}?partitions=2"
    async with listener(url, unique):
        """The queues stand from now on."""
    connection = await aio_pika.connect(rabbitmq.url.replace("rabbitmq:", "amqp:"))
    async with connection:
        channel = await connection.channel()
        queue = await channel.get_queue(f"orders.{unique}.#.0:g.{unique}", ensure=False)
        await queue.consume(_ignore)
        async with listener(url, unique) as running:
            red = await health(running, lambda seen: not seen)
            assert "it holds 1 of the 2 partitions" in red.problems[0]


async def _ignore(_: object) -> None:
    """It keeps what it gets."""
