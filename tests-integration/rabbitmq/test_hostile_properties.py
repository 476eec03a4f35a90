"""What the driver cannot decode harms only itself."""

import asyncio
import json
from collections.abc import Mapping

import pytest
from brokers.broker import Broker
from rabbitmq.hostile import PROPERTIES, publish, raw, short, table
from rabbitmq.setting import setting, take, until

from dispytch import (
    DeadLetters,
    Delivery,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
)
from dispytch.exceptions import SendError, Unroutable
from dispytch.messages import Message
from dispytch.rabbitmq.messages import RabbitMQDelivery, RabbitMQUndecodable
from dispytch.rabbitmq.properties import write_properties

PATIENCE = 60.0
TWICE = PROPERTIES["two of one name"]["headers"]
"""Of two headers of one name, the last one counts."""


class Service:
    """Takes two topics; what is sent to one of them always fails."""

    def __init__(self, url: str, unique: str) -> None:
        self.url, self.unique = url, unique
        self.bad, self.good = f"bad.{unique}", f"good.{unique}"
        self.handled: list[int] = []
        self.tried: list[bytes | None] = []

        class Good(EventBase):
            __topic__ = self.good
            __event_type__ = "good"

            number: int

        self.event = Good
        group = HandlerGroup()

        @group.handler(topic=self.good, event="good")
        async def take(event: Event[Good]) -> None:
            self.handled.append(event.body.number)

        @group.handler(topic=self.bad)
        async def fail(delivery: Delivery) -> None:
            self.tried.append(delivery.value)
            raise ValueError("never")

        self.listener = EventListener(url, group=f"g.{unique}")
        self.listener.add_handler_group(group)
        self.letters = DeadLetters(url, topic=self.bad, group=f"g.{unique}")

    async def emit(self, *numbers: int) -> None:
        async with EventEmitter(self.url) as emitter:
            await emitter.emit_many([self.event(number=number) for number in numbers])


@pytest.fixture
def service(rabbitmq: Broker, unique: str) -> Service:
    return Service(rabbitmq.url, unique)


async def test_each_becomes_a_dead_letter_and_nothing_else_notices(service: Service) -> None:
    bodies = {json.dumps(why).encode(): properties for why, properties in PROPERTIES.items()}
    async with asyncio.timeout(PATIENCE), service.listener as listener:
        leases = (await listener.health()).streams
        for number, (body, properties) in enumerate(bodies.items()):
            await publish(service.url, "dispytch", service.bad.encode(), properties, body)
            await service.emit(number)
        await publish(service.url, "", f"{service.bad}:g.{service.unique}".encode(), {}, b"direct")
        await until(lambda: listener.outcomes.dead_lettered == len(bodies) + 1)
        await until(lambda: len(service.handled) == len(bodies))
        health = await listener.health()
        assert health.healthy, health.problems
        assert health.streams == leases
    assert service.handled == list(range(len(bodies)))
    async with asyncio.timeout(PATIENCE):
        letters = await service.letters.read(limit=100)
    assert sorted(letter.value or b"" for letter in letters) == sorted([*bodies, b"direct"])


@pytest.mark.parametrize("properties", PROPERTIES.values(), ids=list(PROPERTIES))
async def test_what_is_sent_on_has_the_bytes_that_came(
    rabbitmq: Broker, properties: Mapping[str, bytes]
) -> None:
    async with setting(rabbitmq.url) as at:
        consumer = await at.consumer()
        producer = await at.producer()
        given = {"delivery_mode": b"\x02", "message_id": short(b"id"), **properties}
        await publish(rabbitmq.url, "dispytch", at.topic.encode(), given, b"{}")
        [came] = await take(consumer, 1)
        assert isinstance(came, RabbitMQDelivery | RabbitMQUndecodable)
        copy = Message(at.topic, came.value, came.key, came.headers, repeats=came)
        await producer.send([copy])
        [again] = await take(consumer, 1)
        assert isinstance(again, RabbitMQDelivery), "what could be read can be read again"
        assert (again.value, again.headers) == (b"{}", came.headers)
        if "headers" not in properties:
            given["headers"] = table()
        if isinstance(came, RabbitMQDelivery) and given["headers"] != TWICE:
            assert write_properties(again.properties) == raw(given)


async def test_a_routing_key_that_is_not_utf_8_is_undecodable(
    rabbitmq: Broker, unique: str
) -> None:
    listener = EventListener(rabbitmq.url, group=f"g.{unique}")
    group = HandlerGroup()

    @group.handler(topic=f"{unique}.*")
    async def never(delivery: Delivery) -> None:
        raise AssertionError("it has no topic")

    listener.add_handler_group(group)
    async with asyncio.timeout(PATIENCE), listener:
        await publish(rabbitmq.url, "dispytch", unique.encode() + b".\xff", {}, b"{}")
        await until(lambda: listener.outcomes.dead_lettered == 1)
        assert (await listener.health()).healthy


async def test_what_comes_back_is_unroutable_whatever_its_id(rabbitmq: Broker) -> None:
    async with setting(rabbitmq.url) as at:
        consumer, producer = await at.consumer(), await at.producer()
        given = {"message_id": short(b"\xff\xfe"), "timestamp": b"\xff" * 8}
        await publish(rabbitmq.url, "dispytch", at.topic.encode(), given, b"{}")
        [came] = await take(consumer, 1)
        nowhere = Message(f"{at.topic}.nowhere", came.value, repeats=came)
        with pytest.raises(SendError) as refused:
            await producer.send([nowhere, Message(at.topic, b"after")])
        assert {index: type(error) for index, error in refused.value.failures.items()} == {
            0: Unroutable
        }
        assert [after.value for after in await take(consumer, 1)] == [b"after"]


async def test_a_hostile_reply_keeps_no_other_back(rabbitmq: Broker, unique: str) -> None:
    class Ask(EventBase):
        __topic__ = f"asked.{unique}"
        __event_type__ = "ask"

    listener = EventListener(rabbitmq.url, group=f"g.{unique}")
    group = HandlerGroup()

    @group.handler(topic=Ask.__topic__, event="ask")
    async def answer(delivery: Delivery) -> int:
        reply_to = dict(delivery.headers)["dispytch-reply-to"] or b""
        for properties in PROPERTIES.values():
            await publish(rabbitmq.url, "dispytch", reply_to, properties, b"{}")
        return 42

    listener.add_handler_group(group)
    async with asyncio.timeout(PATIENCE), listener, EventEmitter(rabbitmq.url) as emitter:
        for _ in range(2):
            assert await emitter.request(Ask(), reply=int, timeout=PATIENCE) == 42


async def test_a_temporary_reader_and_partitions_read_them_too(rabbitmq: Broker) -> None:
    async with setting(rabbitmq.url, "?partitions=2") as at:
        consumer = await at.consumer()
        for number, properties in enumerate(PROPERTIES.values()):
            await publish(rabbitmq.url, "dispytch", at.topic.encode(), properties, b"%d" % number)
        came = await take(consumer, len(PROPERTIES))
        assert [int(one.value or b"") for one in came] == list(range(len(PROPERTIES)))
