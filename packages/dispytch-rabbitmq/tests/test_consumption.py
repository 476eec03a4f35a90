"""When settlements are told to the broker, seen from the channel."""

import asyncio
from typing import Any, cast

import pytest
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from dispytch.rabbitmq import consumption as module
from dispytch.rabbitmq.consumption import Consumption
from dispytch.rabbitmq.driver import Channel
from dispytch.rabbitmq.failures import AmqpError, ConnectionLost
from dispytch.rabbitmq.topology import group_queues

Told = tuple[str, int] | tuple[str, int, bool]


class FakeChannel:
    """A channel that answers each call at once and notes what is settled on it."""

    def __init__(self) -> None:
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_consumer_cancel_callbacks: set[Any] = set()
        self.told: list[Told] = []
        self.deliver: Any = None

    async def basic_qos(self, *, prefetch_count: int) -> None:
        pass

    async def basic_consume(self, queue: str, callback: Any, *, consumer_tag: str) -> None:
        self.deliver = callback

    async def basic_ack(self, tag: int, multiple: bool = False, wait: bool = True) -> None:
        self.told.append(("ack", tag, multiple))

    async def basic_nack(self, tag: int, wait: bool = True) -> None:
        self.told.append(("nack", tag))


async def consuming(prefetch: int, deliveries: int) -> tuple[Consumption, FakeChannel]:
    (queue,) = group_queues(("t",), "g", "quorum", None)
    channel, consumption = FakeChannel(), Consumption(queue, prefetch, lambda: None)
    await consumption.start(cast(Channel, channel))
    for tag in range(1, deliveries + 1):
        frame = Basic.Deliver("dispytch", tag, False, "x", "t")
        await channel.deliver(DeliveredMessage(frame, ContentHeader(), b"", cast(Any, channel)))
    return consumption, channel


async def a_turn() -> None:
    """Let the teller do what is due."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """So long that "soon" does not come by itself where a test says "not yet"."""
    monkeypatch.setattr(module, "TELL_AFTER", 0.5)


async def soon(channel: FakeChannel, told: list[Told]) -> None:
    async with asyncio.timeout(10):
        while channel.told != told:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
async def _no_task_is_left() -> Any:
    yield
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def test_a_run_is_told_as_one_with_a_quarter_of_the_window() -> None:
    consumption, channel = await consuming(prefetch=8, deliveries=8)
    consumption.ack(1)
    await a_turn()
    assert channel.told == []
    consumption.ack(2)
    await a_turn()
    assert channel.told == [("ack", 2, True)]


async def test_behind_an_open_one_a_quarter_of_the_window_is_told_singly() -> None:
    consumption, channel = await consuming(prefetch=8, deliveries=8)
    consumption.ack(2)
    consumption.ack(3)
    await a_turn()
    assert channel.told == [("ack", 2, False), ("ack", 3, False)]


async def test_a_lone_settlement_is_told_soon() -> None:
    consumption, channel = await consuming(prefetch=100, deliveries=3)
    consumption.ack(2)
    consumption.nack(3)
    await a_turn()
    assert channel.told == []
    await soon(channel, [("nack", 3), ("ack", 2, False)])


async def test_what_a_run_leaves_behind_is_told_soon() -> None:
    consumption, channel = await consuming(prefetch=16, deliveries=16)
    for tag in (1, 2, 3, 5):
        consumption.ack(tag)
    await a_turn()
    assert channel.told == [("ack", 3, True)]
    await soon(channel, [("ack", 3, True), ("ack", 5, False)])


async def test_flush_tells_everything_and_close_ends_the_lease() -> None:
    consumption, channel = await consuming(prefetch=100, deliveries=3)
    consumption.ack(1)
    await consumption.flush()
    assert channel.told == [("ack", 1, True)]
    assert not consumption.lease.ended


async def test_a_stopped_consumption_takes_nothing_more_and_settles_what_it_has() -> None:
    consumption, channel = await consuming(prefetch=100, deliveries=3)
    consumption.stop()
    frame = Basic.Deliver("dispytch", 4, False, "x", "t")
    await channel.deliver(DeliveredMessage(frame, ContentHeader(), b"", cast(Any, channel)))
    assert not consumption.ready
    consumption.ack(1)
    await consumption.flush()
    assert channel.told == [("ack", 1, True)]


async def test_with_the_channel_the_lease_ends_at_once_and_settling_is_void() -> None:
    consumption, channel = await consuming(prefetch=4, deliveries=4)
    channel.closing.set_exception(ConnectionLost("gone"))
    await a_turn()
    assert consumption.lease.ended
    assert not consumption.ready
    consumption.ack(1)
    consumption.nack(2)
    await consumption.flush()
    assert channel.told == []
    assert isinstance(await consumption.over, ConnectionLost)


async def test_a_consumer_that_the_broker_cancels_is_over() -> None:
    consumption, channel = await consuming(prefetch=4, deliveries=4)
    for tell in channel.on_consumer_cancel_callbacks:
        tell(Basic.Cancel("dispytch"))
    assert consumption.lease.ended
    assert isinstance(await consumption.over, AmqpError)
