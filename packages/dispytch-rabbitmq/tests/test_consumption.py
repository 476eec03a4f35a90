"""When settlements are told to the broker, seen from the channel."""

import asyncio

from pamqp import commands
from pamqp.frame import marshal

from dispytch.rabbitmq.amqp import frames
from dispytch.rabbitmq.amqp.channel import Channel
from dispytch.rabbitmq.amqp.errors import ConnectionLost
from dispytch.rabbitmq.amqp.frames import Delivered
from dispytch.rabbitmq.amqp.properties import write_header
from dispytch.rabbitmq.consumption import TELL_AFTER, Consumption
from dispytch.rabbitmq.topology import group_queues


class FakeWire:
    """A connection that answers each call at once and keeps what else is written."""

    frame_max = 4096
    paused = False

    def __init__(self) -> None:
        self.channel: Channel
        self.answers = [commands.Basic.QosOk(), commands.Basic.ConsumeOk("dispytch")]
        self.told: list[bytes] = []

    def write(self, data: bytes) -> None:
        if self.answers:
            payload = marshal(self.answers.pop(0), 1)[7:-1]
            self.channel.receive(frames.METHOD, payload)
        else:
            self.told.append(data)

    def release(self, number: int) -> None:
        pass


async def consuming(prefetch: int, deliveries: int) -> tuple[Consumption, FakeWire]:
    (queue,) = group_queues(("t",), "g", "quorum", None)
    wire, consumption = FakeWire(), Consumption(queue, prefetch, lambda: None)
    wire.channel = Channel(1, wire, consumption)
    await consumption.start(wire.channel)
    for tag in range(1, deliveries + 1):
        consumption.delivered(Delivered(tag, False, "x", "t"), write_header(0, {}, short={}), b"")
    return consumption, wire


async def test_a_run_is_told_as_one_with_a_quarter_of_the_window() -> None:
    consumption, wire = await consuming(prefetch=8, deliveries=8)
    consumption.ack(1)
    assert wire.told == []
    consumption.ack(2)
    assert wire.told == [frames.ack(1, 2, multiple=True)]


async def test_behind_an_open_one_a_quarter_of_the_window_is_told_singly() -> None:
    consumption, wire = await consuming(prefetch=8, deliveries=8)
    consumption.ack(2)
    consumption.ack(3)
    assert wire.told == [frames.ack(1, 2, multiple=False) + frames.ack(1, 3, multiple=False)]


async def test_a_lone_settlement_is_told_soon() -> None:
    consumption, wire = await consuming(prefetch=100, deliveries=3)
    consumption.ack(2)
    consumption.nack(3)
    assert wire.told == []
    await asyncio.sleep(10 * TELL_AFTER)
    assert wire.told == [frames.nack(1, 3) + frames.ack(1, 2, multiple=False)]


async def test_with_the_channel_the_lease_ends_at_once_and_settling_is_void() -> None:
    consumption, wire = await consuming(prefetch=4, deliveries=4)
    wire.channel.end(ConnectionLost("gone"))
    assert consumption.lease.ended
    assert not consumption.ready
    consumption.ack(1)
    consumption.nack(2)
    await consumption.flush()
    assert wire.told == []
    assert isinstance(await consumption.over, ConnectionLost)
