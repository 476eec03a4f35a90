"""A listener with nothing to do."""

from ..case import Case, Goal, Side, value
from ..stages import empty, nothing

SECONDS = {"seconds": 5.0}
PROGRAM = "dispytch_side:idle"


def _goal(side: str) -> Goal:
    return Goal(side, value(side, "percent"), 1, most=True, unit=" % of a core")


KAFKA = Case(
    "kafka-idle",
    "Idle on Kafka",
    empty("kafka", "partitions=4"),
    (Side("dispytch", PROGRAM, SECONDS), Side("aiokafka", "kafka_raw:idle", SECONDS)),
    (_goal("dispytch"),),
    value="percent",
)

RABBITMQ = Case(
    "rabbitmq-idle",
    "Idle on RabbitMQ",
    empty("rabbitmq"),
    (Side("dispytch", PROGRAM, SECONDS), Side("aio-pika", "rabbitmq_raw:idle", SECONDS)),
    (_goal("dispytch"),),
    value="percent",
)

MEMORY = Case(
    "memory-idle",
    "Idle in memory",
    nothing(),
    (Side("dispytch", PROGRAM, SECONDS),),
    (_goal("dispytch"),),
    value="percent",
)

CASES = (KAFKA, RABBITMQ, MEMORY)
