"""Handlers that take their time."""

from ..case import Case, Goal, Side, ratio, value
from ..stages import filled
from .references import FASTSTREAM

LATENCY, CONCURRENCY = 0.02, 256
IDEAL = CONCURRENCY / LATENCY
SLOW, FAST = "one slow key", "no slow key"

IO_BOUND = Case(
    "io-bound",
    "Handlers of 20 ms, 256 at once, 1,000 keys",
    filled("kafka", "partitions=4"),
    (
        Side("dispytch", "handling:io_bound", {"latency": LATENCY, "concurrency": CONCURRENCY}),
        Side(
            "FastStream, its default",
            "kafka_faststream:io_bound",
            {"latency": LATENCY, "max_workers": CONCURRENCY},
            FASTSTREAM,
            share=0.2,
            note="256 workers; at most once, in no order",
        ),
    ),
    (
        Goal("of 256 / 20 ms", value("dispytch", "rate", over=IDEAL), 0.9, 0.95),
        Goal("of FastStream", ratio("dispytch", "FastStream, its default")),
    ),
)

SLOW_KEY = Case(
    "slow-key",
    "One key of 1,000 takes 200 ms per event: what the others do",
    filled("kafka", "partitions=4"),
    (
        Side(SLOW, "handling:slow_key", {"latency": 0.2}),
        Side(FAST, "handling:slow_key", {"latency": 0.0}),
    ),
    (Goal("with the slow key of without it", ratio(SLOW, FAST), 0.95),),
)

CASES = (IO_BOUND, SLOW_KEY)
