"""What is used of the driver that is not public: these fail when a new version changes it."""

import asyncio
import hashlib
import inspect
from types import CodeType
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped,unused-ignore]
from aiokafka.client import AIOKafkaClient  # type: ignore[import-untyped,unused-ignore]
from aiokafka.consumer.fetcher import (  # type: ignore[import-untyped,unused-ignore]
    Fetcher,
    FetchResult,
    OffsetResetStrategy,
)
from aiokafka.consumer.subscription_state import (  # type: ignore[import-untyped,unused-ignore]
    Assignment,
    SubscriptionState,
)
from aiokafka.errors import NodeNotReadyError  # type: ignore[import-untyped,unused-ignore]
from brokers import kafka_batches as made

from dispytch.kafka.driver import consumer_client, partition_of, producer_client
from dispytch.kafka.link import Link
from dispytch.kafka.reading import Reading

HERE = partition_of("orders", 3)


def test_fetching_is_what_it_was_when_a_part_of_it_was_replaced() -> None:
    """Read what has changed in it, take it over in `driver.py`, and write the new sum here."""
    replaced = inspect.getsource(Fetcher._proc_fetch_request)
    assert hashlib.sha256(replaced.encode()).hexdigest()[:16] == "59bf948fff47eed5"


@pytest.mark.parametrize(
    ("user", "names"),
    [
        (Fetcher._get_actions_per_node, {"_records", "_in_flight", "paused", "resume_fut"}),
        (Fetcher._get_actions_per_node, {"_fetch_max_wait_ms", "has_valid_position"}),
        (Fetcher._update_fetch_positions, {"awaiting_reset", "reset_to"}),
        (FetchResult.getall, {"_partition_records", "_update_position", "check_assignment"}),
        (FetchResult._update_position, {"consumed_to", "next_fetch_offset"}),
        (Fetcher.fetched_records, {"getall", "has_more"}),
        (AIOKafkaClient.force_metadata_update, {"_md_update_fut"}),
    ],
)
def test_the_driver_still_goes_by_these_names(user: Any, names: set[str]) -> None:
    code: CodeType = user.__code__
    assert names <= set(code.co_names)


@pytest.mark.parametrize(
    "name",
    [
        "_invalidate_preferred_read_replica_for_node",
        "_update_preferred_read_replica",
        "_proc_fetch_request",
        "_set_error",
    ],
)
def test_the_fetcher_still_has_these(name: str) -> None:
    assert callable(getattr(Fetcher, name))


class Answer:
    """As the driver hands on the answer to a fetch."""

    def __init__(self, *partitions: tuple[Any, ...]) -> None:
        self.topics = [("orders", list(partitions))]


class Asked:
    """As the driver hands over what it asks for."""

    topics = (("orders", [(3, 7, 1_000_000), (4, 0, 1_000_000)]),)


class Desk:
    """A fetcher of ours that has begun nothing by itself."""

    def __init__(self) -> None:
        self.link, self.reading = Link("here"), Reading(100_000)
        self.answer: Answer | Exception = Answer()
        self.client: Any = consumer_client(reading=self.reading, requests=self.link)
        self.client._client.send = self._send
        self.client._client.force_metadata_update = lambda: None
        self.state = SubscriptionState()
        self.fetcher: Any = Fetcher(self.client._client, self.state, auto_offset_reset="earliest")
        self.client._fetcher = self.fetcher
        self.assignment = Assignment([HERE, partition_of("orders", 4)])
        self.assignment.state_value(HERE).seek(7)
        self.assignment.state_value(partition_of("orders", 4)).seek(0)

    async def _send(self, node: int, request: Any, **_: Any) -> Answer:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def fetch(self) -> bool:
        self.client.read_leniently()
        has_news: bool = await self.fetcher._proc_fetch_request(self.assignment, 0, Asked())
        return has_news

    async def close(self) -> None:
        await self.fetcher.close()
        self.client._closed = True
        await self.client._client.close()


GOOD = made.batch(made.record(0), made.record(1), base=7)


@pytest.mark.parametrize(
    "rest",
    [([], GOOD), (0, [], GOOD), (0, None, -1, GOOD)],
    ids=["version-4", "version-5", "version-11"],
)
async def test_every_version_of_the_answer_is_read(rest: tuple[Any, ...]) -> None:
    desk = Desk()
    try:
        desk.answer = Answer((3, 0, 9, 9, *rest), (4, 0, 0, 0, *rest[:-1], b""))
        assert await desk.fetch()
        result = desk.fetcher._records[HERE]
        assert [record.offset for record in result.getall()] == [7, 8]
        assert desk.assignment.state_value(HERE).position == 9
        assert list(desk.fetcher._records) == [HERE]
    finally:
        await desk.close()


async def test_where_a_partition_cannot_be_read_it_is_put_off_and_the_others_go_on() -> None:
    desk = Desk()
    try:
        desk.answer = Answer((3, 56, 9, 9, 0, [], -1, b""), (4, 0, 2, 2, 0, [], -1, GOOD))
        await desk.fetch()
        assert desk.assignment.state_value(HERE).paused
        assert not desk.assignment.state_value(partition_of("orders", 4)).paused
        async with asyncio.timeout(5):
            await desk.assignment.state_value(HERE).resume_fut
    finally:
        await desk.close()


async def test_an_offset_that_is_gone_is_told_and_reading_goes_on_at_the_earliest() -> None:
    desk = Desk()
    try:
        desk.answer = Answer((3, 1, -1, -1, 0, [], -1, b""))
        await desk.fetch()
        state = desk.assignment.state_value(HERE)
        assert state.reset_strategy == OffsetResetStrategy.EARLIEST
        state.reset_to(50)
        list(desk.reading.records(HERE, b"", offset=50, aborted=(), put_off=lambda _: None))
        (problem,) = desk.reading.problems({HERE}).values()
        assert "from 7 to 49 expired" in problem
    finally:
        await desk.close()


async def test_an_answer_that_nobody_understands_ends_no_fetching() -> None:
    desk = Desk()
    try:
        desk.answer = Answer((3, 0))
        assert not await desk.fetch()
        assert desk.assignment.state_value(HERE).paused
    finally:
        await desk.close()


@pytest.mark.parametrize("error", [ValueError("nonsense"), NodeNotReadyError("away")])
async def test_a_node_that_does_not_answer_puts_no_partition_off_for_longer(
    error: Exception,
) -> None:
    desk = Desk()
    try:
        desk.answer = error
        for _ in range(5):
            assert not await desk.fetch()
        assert not desk.assignment.state_value(HERE).paused
    finally:
        await desk.close()


async def test_every_request_of_a_consumer_is_told_to_its_link() -> None:
    link = Link("here")
    client: Any = consumer_client(
        reading=Reading(1), requests=link, bootstrap_servers="127.0.0.1:1"
    )
    told: list[BaseException | None] = []
    link.begun = lambda *, patient: told.append  # type: ignore[method-assign, assignment]
    try:
        with pytest.raises(Exception, match="not ready"):
            await client._client.send(0, object())
    finally:
        client._closed = True
        await client._client.close()
    (error,) = told
    assert error is not None


@pytest.mark.parametrize("compression", [None, "zstd"])
async def test_header_names_that_are_not_utf8_are_written_byte_for_byte(
    compression: str | None,
) -> None:
    client: Any = producer_client(compression_type=compression)
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    try:
        plain = client.create_batch()
        assert plain.append(timestamp=1, key=None, value=b"0", headers=[("a", b"1")])
        assert plain.append(timestamp=1, key=None, value=b"1", headers=[(odd, b"1")]) is None
        batch = client.create_batch()
        for number, name in enumerate([odd, "good", odd]):
            value = b"%d" % number
            assert batch.append(timestamp=5, key=b"k", value=value, headers=[(name, None)])
        batch._set_producer_state(7, 0, 0)
        for made_of, names in ((plain, ["a"]), (batch, [odd, "good", odd])):
            chunk = bytes(made_of._build())
            read = Reading(100_000).records(
                HERE, chunk, offset=0, aborted=(), put_off=lambda _: None
            )
            records = list(read)
            assert [record.value for record in records] == [b"%d" % n for n in range(len(names))]
            assert [record.headers[0][0] for record in records] == names
    finally:
        client._closed = True
        await client.client.close()


def test_a_consumer_has_what_is_taken_over() -> None:
    names = AIOKafkaConsumer.start.__code__.co_names
    assert {"_fetcher", "_client"} <= set(names)
