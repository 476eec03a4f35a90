"""A clean stop leaves no duplicate, however slow the disk of the broker's log is."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from brokers.local_rabbitmq import LocalRabbitMQ
from rabbitmq.setting import until

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup

STOPS = 8
KEYS = 20
PATIENCE = 120.0


class Step(EventBase):
    __topic__ = "steps"
    __event_type__ = "step"
    __key__ = "{key}"

    key: int
    number: int


class Service:
    """Counts how often each event was started, and in which order those of a key."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.starts = Counter[tuple[int, int]]()
        self.order = defaultdict[int, list[int]](list)
        self.group = HandlerGroup()

        @self.group.handler(topic="steps", event="step")
        async def step(event: Event[Step]) -> None:
            body = event.body
            self.starts[body.key, body.number] += 1
            self.order[body.key].append(body.number)
            await asyncio.sleep(random.uniform(0, 0.006))

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        listener = EventListener(self.url, group="walker", concurrency=32)
        listener.add_handler_group(self.group)
        async with listener:
            yield


class Walk:
    """Emits the next steps, evenly over the keys."""

    def __init__(self, emitter: EventEmitter) -> None:
        self._emitter = emitter
        self.steps = 0

    async def go_on(self, count: int) -> None:
        numbers = range(self.steps, self.steps + count)
        self.steps += count
        await self._emitter.emit_many([Step(key=n % KEYS, number=n // KEYS) for n in numbers])


async def stop_again_and_again(url: str) -> tuple[Service, Walk]:
    service = Service(url)
    async with asyncio.timeout(PATIENCE), EventEmitter(url) as emitter:
        async with service.running():
            """The queue stands from now on."""
        walk = Walk(emitter)
        await walk.go_on(600)
        for _ in range(STOPS):
            goal = len(service.starts) + random.randint(20, 150)
            async with service.running():
                await until(lambda: len(service.starts) >= goal)  # noqa: B023
            await walk.go_on(160)
        async with service.running():
            await until(lambda: len(service.starts) == walk.steps)
    return service, walk


@pytest.mark.parametrize("options", ["", "?partitions=4"])
async def test_a_stop_repeats_nothing_while_the_disk_is_slow(
    node: LocalRabbitMQ, url: str, options: str
) -> None:
    with node.slow_disk():
        service, walk = await stop_again_and_again(url + options)
    assert service.starts.total() == walk.steps, "an acknowledged event came again"
    assert all(numbers == sorted(numbers) for numbers in service.order.values())


async def test_a_user_who_may_not_write_to_the_default_exchange_stops_in_order(
    node: LocalRabbitMQ, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    vhost = urlsplit(url).path[1:]
    node.eval(
        f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{vhost}">>, '
        '<<".*">>, <<"^(?!amq).*">>, <<".*">>, <<"tests">>).'
    )
    service = Service(url)
    async with asyncio.timeout(PATIENCE), EventEmitter(url) as emitter, service.running():
        await Walk(emitter).go_on(100)
        await until(lambda: len(service.starts) == 100)
    assert "grant write on 'amq.default'" in caplog.text
