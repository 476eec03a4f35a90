"""Consuming from Kafka."""

from dataclasses import replace

from ..case import Case, Goal, Side, ratio, thrift
from ..stages import filled
from .references import DISPYTCH_0X, FASTSTREAM, UVLOOP

TOPIC = "partitions=4"
RAW = Side("aiokafka", "kafka_raw:consume", note="`getmany`, validate, await; commits on a timer")
AT_MOST_ONCE, BY_HAND = "FastStream, its default", "FastStream, commits by hand"
AT_LEAST_ONCE, BATCHES = "FastStream, at least once", "FastStream, batches"

PEERS = (
    Side(
        AT_MOST_ONCE,
        "kafka_faststream:consume",
        {"ack": "ACK_FIRST"},
        FASTSTREAM,
        share=0.2,
        note="at most once: commits what no handler has seen",
    ),
    Side(
        BY_HAND,
        "kafka_faststream:consume_committing_by_hand",
        environment=FASTSTREAM,
        share=0.2,
        note="AckPolicy.MANUAL, one at a time, with a commit in every 500th call",
    ),
    Side(
        AT_LEAST_ONCE,
        "kafka_faststream:consume",
        {"ack": "ACK", "max_workers": 4},
        FASTSTREAM,
        share=0.05,
        note="AckPolicy.ACK, a worker per partition: commits every message",
    ),
    Side(
        BATCHES,
        "kafka_faststream:consume_batches",
        {"max_records": 500},
        FASTSTREAM,
        share=0.2,
        note="AckPolicy.ACK: one call of the handler, and one commit, for up to 500 messages",
    ),
    Side(
        "dispytch 0.11",
        "kafka_dispytch_0x:consume",
        {"concurrency": 64, "window": 256},
        DISPYTCH_0X,
        share=0.2,
        note="in order by key, through its AsyncLock; on Python 3.13, which it needs",
    ),
)

BY_KEY = Case(
    "kafka-consume-key",
    "Kafka consume, in order by key",
    filled("kafka", TOPIC),
    (Side("dispytch", "dispytch_side:consume", {"concurrency": 64}), RAW, *PEERS),
    (
        Goal("of aiokafka", ratio("dispytch", "aiokafka"), 0.40, 0.6),
        Goal("of aiokafka, by processor time", thrift("dispytch", "aiokafka")),
        Goal(
            "of FastStream, fastest per message",
            ratio("dispytch", AT_MOST_ONCE, BY_HAND, AT_LEAST_ONCE),
            8,
        ),
        Goal("of FastStream at least once", ratio("dispytch", AT_LEAST_ONCE), 30),
        Goal("of FastStream in batches", ratio("dispytch", BATCHES)),
        Goal("of dispytch 0.11", ratio("dispytch", "dispytch 0.11"), 8),
    ),
)

BY_PARTITION = Case(
    "kafka-consume-partition",
    "Kafka consume, in order by partition",
    filled("kafka", TOPIC),
    (Side("dispytch", "dispytch_side:consume", {"ordering": "partition"}), RAW),
    (
        Goal("of aiokafka", ratio("dispytch", "aiokafka"), 0.6, 0.8),
        Goal("of aiokafka, by processor time", thrift("dispytch", "aiokafka")),
    ),
)

ON_UVLOOP = Case(
    "kafka-consume-uvloop",
    "Kafka consume, in order by key, on uvloop",
    filled("kafka", TOPIC),
    (
        Side(
            "dispytch",
            "dispytch_side:consume",
            environment=UVLOOP,
            loop="uvloop",
        ),
        Side("aiokafka", RAW.program, environment=UVLOOP, loop="uvloop"),
    ),
    (
        Goal("of aiokafka on uvloop", ratio("dispytch", "aiokafka")),
        Goal("of aiokafka on uvloop, by processor time", thrift("dispytch", "aiokafka")),
    ),
)

# With fewer, the raw loop has fetched all that it will handle before its clock starts.
CASES = tuple(replace(case, short=case.events) for case in (BY_KEY, BY_PARTITION, ON_UVLOOP))
