"""Other people's Kafka clients and the official CloudEvents SDK, both ways."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from brokers.broker import Broker
from cloudevents.core.bindings import kafka as sdk
from cloudevents.core.v1.event import CloudEvent
from confluent_kafka import Consumer, Producer
from pydantic import BaseModel

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup


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


def servers(kafka: Broker) -> str:
    return urlsplit(kafka.url).netloc


def produce(
    kafka: Broker, topic: str, value: bytes, key: str | None, headers: dict[str, bytes]
) -> None:
    producer = Producer({"bootstrap.servers": servers(kafka)})
    producer.produce(topic, value=value, key=key, headers=list(headers.items()))
    assert producer.flush(20) == 0


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


Produce = Callable[[Broker, str], None]


def plain_by_confluent(kafka: Broker, topic: str) -> None:
    produce(kafka, topic, b'{"number": 3, "item": "tea"}', "tea", {"type": b"order_placed"})


def plain_by_kcat(kafka: Broker, topic: str) -> None:
    if shutil.which("kcat") is None:
        pytest.fail("kcat is missing; install it with: apt-get install kcat")
    subprocess.run(
        ["kcat", "-P", "-b", servers(kafka), "-t", topic, "-k", "tea", "-H", "type=order_placed"],
        input=b'{"number": 3, "item": "tea"}\n',
        check=True,
        timeout=30,
    )


def binary_by_sdk(kafka: Broker, topic: str) -> None:
    message = sdk.to_binary_event(cloud_event())
    produce(kafka, topic, message.value, str(message.key), message.headers)


def structured_by_sdk(kafka: Broker, topic: str) -> None:
    message = sdk.to_structured_event(cloud_event())
    produce(kafka, topic, message.value, str(message.key), message.headers)


@pytest.mark.parametrize(
    "produced", [plain_by_confluent, plain_by_kcat, binary_by_sdk, structured_by_sdk]
)
async def test_what_others_produce_reaches_a_handler(
    kafka: Broker, unique: str, produced: Produce
) -> None:
    topic = f"orders.{unique}"
    inbox = Inbox(topic)
    listener = EventListener(kafka.url, group=f"shop-{unique}")
    listener.add_handler_group(inbox.group)
    async with listener:
        await asyncio.to_thread(produced, kafka, topic)
        event = await inbox.first()
    assert event.body == Order(number=3, item="tea")
    assert (event.type, event.key) == ("order_placed", "tea")
    if produced in (binary_by_sdk, structured_by_sdk):
        assert (event.id, event.source) == ("7f", "/shop")


async def test_what_we_emit_is_read_by_confluent_kafka_and_the_sdk(
    kafka: Broker, unique: str
) -> None:
    placed = OrderPlaced(topic=f"orders.{unique}", number=3, item="té")
    async with EventEmitter(kafka.url, source="/shop") as emitter:
        await emitter.emit(placed)
    message = await asyncio.to_thread(consume_one, kafka, placed.topic)
    event = sdk.from_kafka_event(message)
    assert event.get_id() == placed.__event_id__
    assert event.get_type() == "order_placed"
    assert event.get_source() == "/shop"
    assert event.get_extension("partitionkey") == "té"
    assert event.get_data() == json.loads(placed.model_dump_json())
    assert event.get_time() is not None


def consume_one(kafka: Broker, topic: str) -> sdk.KafkaMessage:
    consumer = Consumer(
        {
            "bootstrap.servers": servers(kafka),
            "group.id": f"reader-{topic}",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    try:
        message = consumer.poll(30)
    finally:
        consumer.close()
    assert message is not None
    assert message.error() is None
    return sdk.KafkaMessage(dict(message.headers() or []), message.key(), message.value())
