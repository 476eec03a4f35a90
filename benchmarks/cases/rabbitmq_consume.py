"""Consuming from RabbitMQ."""

from ..case import Case, Goal, Side, ratio, thrift
from ..stages import filled
from .references import DISPYTCH_0X, FASTSTREAM

SIDES = (
    Side("dispytch", "dispytch_side:consume", {"max_in_flight": 500}, note="in order by key"),
    Side("aio-pika, callback", "rabbitmq_raw:consume", note="acks each message"),
    Side("aio-pika, iterator", "rabbitmq_raw:iterate", note="acks each message"),
    Side(
        "FastStream",
        "rabbitmq_faststream:consume",
        {"ack": "REJECT_ON_ERROR"},
        FASTSTREAM,
        share=0.3,
        note="at least once, its default",
    ),
    Side(
        "dispytch 0.11",
        "rabbitmq_dispytch_0x:consume",
        environment=DISPYTCH_0X,
        share=0.3,
        note="in no order; on Python 3.13, which it needs",
    ),
)
GOALS = (
    Goal(
        "of aio-pika, its faster way",
        ratio("dispytch", "aio-pika, callback", "aio-pika, iterator"),
        1.3,
        2,
    ),
    Goal(
        "of aio-pika, by processor time",
        thrift("dispytch", "aio-pika, callback", "aio-pika, iterator"),
    ),
    Goal("of FastStream", ratio("dispytch", "FastStream"), 3),
    Goal("of dispytch 0.11", ratio("dispytch", "dispytch 0.11")),
)


def consume(queue_type: str) -> Case:
    """The case for one type of queue."""
    return Case(
        f"rabbitmq-consume-{queue_type}",
        f"RabbitMQ consume, {queue_type} queue, prefetch 500",
        filled("rabbitmq", f"queue_type={queue_type}"),
        SIDES,
        GOALS,
        short=10_000,
    )


CASES = (consume("quorum"), consume("classic"))
