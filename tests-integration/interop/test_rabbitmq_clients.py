"""pika and the official CloudEvents SDK on RabbitMQ, both ways."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pika
import pytest
from brokers.broker import Broker
from cloudevents.core.bindings import amqp
from cloudevents.core.bindings import rabbitmq as sdk
from cloudevents.core.v1.event import CloudEvent
from pika.adapters.blocking_connection import BlockingChannel
from pydantic import BaseModel

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup

EXCHANGE = "dispytch"


class Order(BaseModel):
    number: int
    item: str


class OrderPlaced(EventBase):
    __topic__ = "{topic}"
    __event_type__ = "order_placed"
    __key__ = "{item}"

    topic: str
    number: int
    item: str


class Inbox:
    """A handler group for one topic, and what it was given."""

    def __init__(self, topic: str) -> None:
        self.events: list[Event[Order]] = []
        self.group = HandlerGroup(default_topic=topic)
        self._news = asyncio.Event()
        self.group.handler(event="order_placed")(self._take)

    async def _take(self, event: Event[Order]) -> None:
        self.events.append(event)
        self._news.set()

    async def first(self) -> Event[Order]:
        async with asyncio.timeout(30):
            while not self.events:
                self._news.clear()
                await self._news.wait()
        return self.events[0]


@contextmanager
def channel(url: str) -> Iterator[BlockingChannel]:
    connection = pika.BlockingConnection(pika.URLParameters(url.replace("rabbitmq://", "amqp://")))
    try:
        yield connection.channel()
    finally:
        connection.close()


def publish(url: str, topic: str, value: bytes, properties: pika.BasicProperties) -> None:
    with channel(url) as out:
        out.confirm_delivery()
        out.basic_publish(EXCHANGE, topic, value, properties, mandatory=True)


def cloud_event() -> CloudEvent:
    return CloudEvent(
        attributes={
            "id": "7f",
            "type": "order_placed",
            "source": "/shop",
            "datacontenttype": "application/json",
            "partitionkey": "tea",
        },
        data={"number": 3, "item": "tea"},
    )


Publish = Callable[[str, str], None]


def plain_by_pika(url: str, topic: str) -> None:
    properties = pika.BasicProperties(
        type="order_placed", headers={"cloudEvents_partitionkey": "tea"}
    )
    publish(url, topic, b'{"number": 3, "item": "tea"}', properties)


def binary_by_sdk(url: str, topic: str) -> None:
    message = sdk.to_binary_event(cloud_event())
    properties = pika.BasicProperties(headers=message.headers, content_type=message.content_type)
    publish(url, topic, message.body, properties)


def structured_by_sdk(url: str, topic: str) -> None:
    message = sdk.to_structured_event(cloud_event())
    properties = pika.BasicProperties(headers=message.headers, content_type=message.content_type)
    publish(url, topic, message.body, properties)


def binary_by_sdk_in_amqp_1(url: str, topic: str) -> None:
    message = amqp.to_binary_event(cloud_event())
    publish(url, topic, message.application_data, _amqp_properties(message))


def binary_with_colons(url: str, topic: str) -> None:
    message = amqp.to_binary_event(cloud_event())
    properties = _amqp_properties(message)
    properties.headers = {
        name.replace("cloudEvents_", "cloudEvents:"): value
        for name, value in message.application_properties.items()
    }
    publish(url, topic, message.application_data, properties)


def _amqp_properties(message: amqp.AMQPMessage) -> pika.BasicProperties:
    return pika.BasicProperties(
        headers=message.application_properties,
        content_type=message.properties["content-type"],
    )


@pytest.mark.parametrize(
    "published",
    [
        plain_by_pika,
        binary_by_sdk,
        structured_by_sdk,
        binary_by_sdk_in_amqp_1,
        binary_with_colons,
    ],
)
async def test_what_others_publish_reaches_a_handler(
    rabbitmq: Broker, unique: str, published: Publish
) -> None:
    topic = f"orders.{unique}"
    inbox = Inbox(topic)
    listener = EventListener(rabbitmq.url, group=f"shop-{unique}")
    listener.add_handler_group(inbox.group)
    async with listener:
        await asyncio.to_thread(published, rabbitmq.url, topic)
        event = await inbox.first()
    assert event.body == Order(number=3, item="tea")
    assert event.type == "order_placed"
    if published is plain_by_pika:
        assert event.key == "tea"
    else:
        assert (event.id, event.source) == ("7f", "/shop")
        assert event.timestamp is not None


async def test_what_we_emit_is_read_by_pika_and_the_sdk(rabbitmq: Broker, unique: str) -> None:
    placed = OrderPlaced(topic=f"orders.{unique}", number=3, item="té")
    queue = f"reader-{unique}"
    await asyncio.to_thread(bind, rabbitmq.url, queue, placed.topic)
    async with EventEmitter(rabbitmq.url, source="/shop") as emitter:
        await emitter.emit(placed)
    message = await asyncio.to_thread(consume_one, rabbitmq.url, queue)
    event = amqp.from_amqp_event(message)
    assert event.get_id() == placed.__event_id__
    assert event.get_type() == "order_placed"
    assert event.get_source() == "/shop"
    assert event.get_extension("partitionkey") == "té"
    assert event.get_data() == json.loads(placed.model_dump_json())
    assert event.get_time() is not None


def bind(url: str, queue: str, topic: str) -> None:
    with channel(url) as out:
        out.exchange_declare(EXCHANGE, "topic", durable=True)
        out.queue_declare(queue, durable=True)
        out.queue_bind(queue, EXCHANGE, topic)


def consume_one(url: str, queue: str) -> amqp.AMQPMessage:
    with channel(url) as source:
        for method, properties, body in source.consume(queue, inactivity_timeout=20):
            assert method is not None, "nothing arrived"
            assert properties.delivery_mode == 2, "the message is not persistent"
            return amqp.AMQPMessage(
                {"content-type": properties.content_type}, properties.headers, body
            )
    raise AssertionError("nothing arrived")
