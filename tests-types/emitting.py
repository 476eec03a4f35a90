"""What a user's type checker knows of emitting; nothing here runs."""

from datetime import UTC, datetime, timedelta
from typing import assert_type

from events import OrderPlaced, placed

from dispytch import DeadLetter, DeadLetters, EventBase, EventEmitter
from dispytch.kafka import KafkaBackend, KafkaEventConfig
from dispytch.memory import MemoryBackend
from dispytch.rabbitmq import RabbitMQBackend, RabbitMQEventConfig


class Configured(EventBase):
    __topic__ = "orders"
    __event_type__ = "configured"
    __backend_config__ = (
        KafkaEventConfig(partition_key="{number}"),
        RabbitMQEventConfig(priority=5),
    )

    number: int


async def emit() -> None:
    async with EventEmitter("kafka://localhost:9092") as emitter:
        assert_type(emitter, EventEmitter)
        await emitter.emit(placed)
        await emitter.emit(placed, delay=timedelta(days=1))
        await emitter.emit_many([placed], at=datetime(2030, 1, 1, tzinfo=UTC))
        await emitter.emit(placed, delay="soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await emitter.emit(placed, at=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await emitter.emit_many([placed, Configured(number=2)])
        await emitter.emit_many(OrderPlaced(number=number) for number in range(3))
        await emitter.emit("placed")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await emitter.emit_many(placed)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@EventEmitter("memory").on_timeout
def late(event: EventBase) -> None: ...


backends = [
    KafkaBackend("localhost:9092", partitions=12, tls=False, compression="gzip"),
    RabbitMQBackend(host="localhost", queue_type="quorum"),
    MemoryBackend("shop"),
]
emitters = [EventEmitter(backend) for backend in backends]
KafkaBackend("localhost", compression="zip")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
KafkaEventConfig(partition="first")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def replay() -> None:
    letters = DeadLetters("kafka://localhost:9092", topic="orders", group="billing")
    for letter in await letters.read(select=lambda one: one.reason == "failed"):
        assert_type(letter, DeadLetter)
        assert_type(letter.handler, str | None)
