"""Emitting."""

from ..case import Case, Goal, Side, ratio, thrift
from ..stages import empty
from .references import FASTSTREAM

KAFKA_MANY = Case(
    "kafka-emit-many",
    "Kafka `emit_many`, batches of 1,000",
    empty("kafka", "partitions=4"),
    (
        Side("dispytch", "dispytch_side:emit_many"),
        Side("aiokafka, send", "kafka_raw:send", note="`send` for each, then all confirmations"),
        Side("aiokafka, batches", "kafka_raw:send_batch", note="`create_batch` and `send_batch`"),
        Side(
            "FastStream",
            "kafka_faststream:publish_many",
            environment=FASTSTREAM,
            share=0.3,
            note="`publish` for each, then all confirmations",
        ),
    ),
    (
        Goal("of aiokafka's send", ratio("dispytch", "aiokafka, send"), 2),
        Goal("of aiokafka's send, by processor time", thrift("dispytch", "aiokafka, send")),
        Goal("of aiokafka's batches", ratio("dispytch", "aiokafka, batches"), None, 0.9),
        Goal("of FastStream", ratio("dispytch", "FastStream")),
    ),
)

KAFKA_ONE = Case(
    "kafka-emit",
    "Kafka `emit` from 200 tasks",
    empty("kafka", "partitions=4"),
    (
        Side("dispytch", "dispytch_side:emit"),
        Side("aiokafka", "kafka_raw:send_and_wait", note="`send_and_wait` from 200 tasks"),
        Side("FastStream", "kafka_faststream:publish", environment=FASTSTREAM, share=0.3),
    ),
    (
        Goal("of aiokafka", ratio("dispytch", "aiokafka"), 0.8, 1.0),
        Goal("of aiokafka, by processor time", thrift("dispytch", "aiokafka")),
        Goal("of FastStream", ratio("dispytch", "FastStream")),
    ),
)

RABBITMQ_MANY = Case(
    "rabbitmq-emit-many",
    "RabbitMQ `emit_many`, batches of 1,000",
    empty("rabbitmq"),
    (
        Side("dispytch", "dispytch_side:emit_many"),
        Side("aio-pika", "rabbitmq_raw:publish_many", note="confirmed `publish`, gathered"),
        Side(
            "FastStream",
            "rabbitmq_faststream:publish_many",
            environment=FASTSTREAM,
            share=0.3,
            note="confirmed `publish`, gathered",
        ),
    ),
    (
        Goal("of aio-pika", ratio("dispytch", "aio-pika"), 1.0, 1.3),
        Goal("of aio-pika, by processor time", thrift("dispytch", "aio-pika")),
        Goal("of FastStream", ratio("dispytch", "FastStream")),
    ),
    short=10_000,
)

CASES = (KAFKA_MANY, KAFKA_ONE, RABBITMQ_MANY)
