"""Bad input, end to end: each gets an error that says what is wrong, where, and what helps.

What only core decides (names of backends, URLs, signatures, templates) is tested without a broker,
beside the code. Here is what a broker has a part in, and that the rest does not wait for one.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from brokers.broker import Broker
from pydantic import BaseModel

from dispytch import Dependency, Event, EventBase, EventEmitter, EventListener, HandlerGroup
from dispytch.backends import backend_from
from dispytch.dead_letters import FailurePolicy
from dispytch.exceptions import (
    BodyInvalid,
    BrokerUnreachable,
    DecodeError,
    DependencyError,
    DispytchError,
    EventHalted,
    InvalidHandler,
    MessageTooLarge,
    TopologyError,
)
from dispytch.messages import Message


class Order(BaseModel):
    number: int


class OrderPlaced(EventBase):
    __topic__ = "{topic}"
    __event_type__ = "order_placed"

    topic: str
    number: int = 1
    note: str = ""


def explained(error: pytest.ExceptionInfo[DispytchError], *parts: str) -> None:
    """The text has all of these, in any order."""
    for part in parts:
        assert part in str(error.value)


def taking(topic: str) -> HandlerGroup:
    """One handler, for orders of a topic."""
    group = HandlerGroup(default_topic=topic)

    @group.handler()
    async def take(event: Event[Order]) -> None: ...

    return group


async def started(url: str, group: HandlerGroup, name: str) -> None:
    """Listen; it must not come so far."""
    listener = EventListener(url, group=name)
    listener.add_handler_group(group)
    async with listener:
        pytest.fail("it has started")


class TestUnreachable:
    """Nothing listens where the URL points, or nobody answers there."""

    @pytest.fixture(params=["kafka", "rabbitmq"])
    def scheme(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture(params=["closed", "silent"])
    def address(self, request: pytest.FixtureRequest) -> Iterator[str]:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            if request.param == "silent":
                held.listen()
            yield f"127.0.0.1:{held.getsockname()[1]}"

    async def test_an_emitter_says_where_in_time(self, scheme: str, address: str) -> None:
        began = time.monotonic()
        with pytest.raises(BrokerUnreachable) as error:
            async with EventEmitter(f"{scheme}://{address}/?connect_timeout=2"):
                pytest.fail("it has connected")
        assert time.monotonic() - began < 6
        explained(error, address)

    async def test_a_listener_says_where_in_time(self, scheme: str, address: str) -> None:
        began = time.monotonic()
        with pytest.raises(BrokerUnreachable) as error:
            await started(f"{scheme}://{address}/?connect_timeout=2", taking("orders"), "billing")
        assert time.monotonic() - began < 6
        explained(error, address)


def two_yields() -> Iterator[int]:
    yield 1
    yield 2


def cyclic(number: "Cycle") -> int:
    return number


Cycle = Annotated[int, Dependency(cyclic)]


async def unprovided(event: Event[Order], service: str) -> None: ...
async def in_a_cycle(event: Event[Order], number: Cycle) -> None: ...
async def of_two_yields(event: Event[Order], n: Annotated[int, Dependency(two_yields)]) -> None: ...
async def of_two_bodies(first: Event[Order], second: Event[str]) -> None: ...


@pytest.mark.parametrize("url", ["kafka://127.0.0.1:9", "rabbitmq://127.0.0.1:9/"])
@pytest.mark.parametrize(
    ("handler", "topic", "kind", "parts"),
    [
        (unprovided, None, InvalidHandler, ("unprovided", "no topic", "default_topic")),
        (unprovided, "orders", DependencyError, ("unprovided", "`service`", "Dependency(")),
        (in_a_cycle, "orders", DependencyError, ("in_a_cycle", "cycle", "`cyclic`")),
        (of_two_yields, "orders", DependencyError, ("of_two_yields", "`two_yields`", "yield")),
        (of_two_bodies, "orders", DispytchError, ("of_two_bodies", "Order", "str")),
    ],
)
async def test_wrong_wiring_is_found_before_the_broker_is_looked_for(
    url: str, handler: Any, topic: str | None, kind: type[DispytchError], parts: tuple[str, ...]
) -> None:
    group = HandlerGroup()
    group.handler(topic=topic)(handler)
    began = time.monotonic()
    with pytest.raises(kind) as error:
        await started(url, group, "billing")
    assert time.monotonic() - began < 5
    explained(error, *parts)


class TestTopicNames:
    """What the broker cannot have as a topic."""

    async def test_a_kafka_listener_does_not_start(self, kafka: Broker) -> None:
        for name in ("orders/new", "x" * 250, ".."):
            with pytest.raises(TopologyError) as error:
                await started(kafka.url, taking(name), "billing")
            explained(error, name[:40], "249", "rename")

    async def test_a_rabbitmq_listener_does_not_start(self, rabbitmq: Broker) -> None:
        for name, reason in {
            "orders\n": "allowed",
            "x" * 256: "255",
            "amq.orders": "reserve",
        }.items():
            with pytest.raises(TopologyError) as error:
                await started(rabbitmq.url, taking(name), "billing")
            explained(error, repr(name[:40])[:-1], reason)

    @pytest.mark.parametrize("backend", ["kafka", "rabbitmq"])
    async def test_an_emitter_refuses_it_and_goes_on(
        self, backend: str, unique: str, request: pytest.FixtureRequest
    ) -> None:
        url = request.getfixturevalue(backend).url
        good = f"orders.{unique}"
        listener = EventListener(url, group=unique)
        listener.add_handler_group(taking(good))
        async with listener, EventEmitter(url) as emitter:
            with pytest.raises(DispytchError) as error:
                await emitter.emit(OrderPlaced(topic="x" * 256))
            explained(error, "x" * 40, "249" if backend == "kafka" else "255")
            await emitter.emit(OrderPlaced(topic=good))


async def test_kafka_refuses_a_message_above_its_limit(kafka: Broker, unique: str) -> None:
    topic = f"orders-{unique}"
    large = OrderPlaced(topic=topic, number=2, note="x" * 2_000_000)
    async with EventEmitter(f"{kafka.url}/?max_message_bytes=10000000") as emitter:
        with pytest.raises(MessageTooLarge) as error:
            await emitter.emit(large)
        explained(error, topic, "2000", "max.message.bytes")
        await emitter.emit(OrderPlaced(topic=topic))
    async with EventEmitter(kafka.url) as emitter:
        with pytest.raises(MessageTooLarge) as error:
            await emitter.emit(large)
        explained(error, "2000", "max_message_bytes=1048576")


@pytest.mark.timeout(180)
async def test_rabbitmq_refuses_a_message_above_its_limit(rabbitmq: Broker, unique: str) -> None:
    topic = f"orders.{unique}"
    # The limit of RabbitMQ 3 is 128 MiB, that of RabbitMQ 4 is 16 MiB.
    large = OrderPlaced(topic=topic, number=2, note="x" * (2**27 + 1))
    listener = EventListener(rabbitmq.url, group=unique)
    listener.add_handler_group(taking(topic))
    async with listener, EventEmitter(rabbitmq.url) as emitter:
        with pytest.raises(MessageTooLarge) as error:
            await emitter.emit(large)
        explained(error, "size", "larger than")
        await emitter.emit(OrderPlaced(topic=topic))


UNREADABLE = pytest.mark.parametrize(
    ("value", "cause", "reason"),
    [
        (b"\xff\xfe no JSON", DecodeError, "not JSON"),
        (b'{"number": "many"}', BodyInvalid, "number"),
    ],
    ids=["no JSON", "no number"],
)


@asynccontextmanager
async def billing(
    url: str, topic: str, policy: FailurePolicy
) -> AsyncIterator[tuple[EventListener, asyncio.Queue[int]]]:
    """A listener to the topic, and the numbers of the orders that its handler was given."""
    taken: asyncio.Queue[int] = asyncio.Queue()
    group = HandlerGroup(default_topic=topic)

    @group.handler(dead_letter=policy)
    async def take(event: Event[Order]) -> None:
        taken.put_nowait(event.body.number)

    listener = EventListener(url, group="billing")
    listener.add_handler_group(group)
    async with asyncio.timeout(60), listener:
        yield listener, taken


async def send(url: str, topic: str, *values: bytes) -> None:
    """Send as another program might: without a codec, and all under one key."""
    async with backend_from(url).producer() as producer:
        await producer.send([Message(topic, value, key=b"one") for value in values])


async def halted_by(url: str, topic: str, *values: bytes) -> None:
    """Listen until the listener ends by itself."""
    async with billing(url, topic, "halt") as (listener, taken):
        await send(url, topic, *values)
        await listener.stopped()
    assert taken.empty()


@UNREADABLE
async def test_halt_stops_and_leaves_it_to_the_next_listener(
    broker_url: str, unique: str, value: bytes, cause: type[Exception], reason: str
) -> None:
    topic = f"orders.{unique}"
    for values in ([value], []):
        with pytest.raises(EventHalted) as error:
            await halted_by(broker_url, topic, *values)
        assert isinstance(error.value.__cause__, cause)
        explained(error, "take", topic, reason, "dead_letter='halt'")


@UNREADABLE
async def test_drop_reports_it_and_goes_on(
    broker_url: str,
    unique: str,
    value: bytes,
    cause: type[Exception],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    topic = f"orders.{unique}"
    async with billing(broker_url, topic, "drop") as (listener, taken):
        await send(broker_url, topic, value, b'{"number": 1}')
        assert await taken.get() == 1
        assert listener.outcomes.dropped == 1
    [record] = [record for record in caplog.records if "dead_letter='drop'" in record.message]
    assert "take" in record.message
    assert topic in record.message
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], cause)
    assert reason in str(record.exc_info[1])
    async with billing(broker_url, topic, "halt") as (_, taken):
        await send(broker_url, topic, b'{"number": 2}')
        assert await taken.get() == 2
