"""From emit to the start of the handler."""

from ..case import Case, Goal, Side, difference
from ..stages import empty


def latency(broker: str, driver: str, options: str = "") -> Case:
    """The case for one broker."""
    return Case(
        f"{broker}-latency",
        f"Latency at 500 events/s, {'Kafka' if broker == 'kafka' else 'RabbitMQ'}",
        empty(broker, options),
        (Side("dispytch", "latency:dispytch"), Side(driver, f"latency:{broker}")),
        (
            Goal(
                f"p99 above {driver}'s",
                difference("dispytch", driver, "p99"),
                2,
                0.5,
                most=True,
                unit=" ms",
            ),
            Goal(f"p50 above {driver}'s", difference("dispytch", driver, "p50"), unit=" ms"),
        ),
        events=10_000,
        short=2_000,
        value="p99",
    )


CASES = (latency("kafka", "aiokafka", "partitions=4"), latency("rabbitmq", "aio-pika"))
