"""Publishing on one channel: each message has one outcome, whatever becomes of the channel."""

import asyncio
from typing import Any, cast

from aiormq.abc import ChannelFrame, DeliveredMessage
from aiormq.exceptions import DeliveryError, PublishError
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.frame import unmarshal
from pamqp.header import ContentHeader

from dispytch.exceptions import MessageTooLarge, TransportError, Unroutable
from dispytch.rabbitmq.driver import Channel, Properties
from dispytch.rabbitmq.failures import ConnectionLost
from dispytch.rabbitmq.outgoing import Batch, Outgoing
from dispytch.rabbitmq.publishing import WINDOW_MESSAGES, Publishing


class FakeTune:
    frame_max = 4096


class FakeConnection:
    connection_tune = FakeTune()


class FakeQueue:
    """Where a channel leaves its frames; keeps the bodies of the messages among them."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def put(self, frame: ChannelFrame) -> None:
        rest = frame.payload
        while rest:
            read, number, part = unmarshal(rest)
            assert number == FakeChannel.number
            if isinstance(part, ContentBody):
                self.bodies.append(part.value)
            rest = rest[read:]


class FakeChannel:
    """A channel whose confirms the test gives."""

    connection = FakeConnection()
    is_closed = False
    number = 7
    max_content_size = 4088

    def __init__(self) -> None:
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.delivery_tag = 0
        self.confirmations: dict[int, asyncio.Future[Any]] = {}
        self.message_id_delivery_tag: dict[str, int] = {}
        self.write_queue = FakeQueue()

    @property
    def confirms(self) -> dict[bytes, asyncio.Future[Any]]:
        """By the body that was written, in the order of the wire."""
        return dict(zip(self.write_queue.bodies, self.confirmations.values(), strict=True))


class Scene:
    """A batch that is being published."""

    def __init__(self, size: int) -> None:
        self.channel = FakeChannel()
        self.progressed = 0
        self.publishing = Publishing(self._progress)
        self.publishing.start(cast(Channel, self.channel))
        self.batch = Batch(size)
        self.messages = [self._outgoing(index) for index in range(size)]

    def _progress(self) -> None:
        self.progressed += 1

    def _outgoing(self, index: int) -> Outgoing:
        body = b"%d" % index
        return Outgoing(self.batch, index, "t", "x", "t", True, Properties(headers={}), body)

    async def publish(self) -> None:
        for message in self.messages:
            self.publishing.publish(message)
        await self.turns()

    async def turns(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_each_message_has_the_outcome_of_its_own_confirm() -> None:
    scene = Scene(3)
    await scene.publish()
    returned = DeliveredMessage(
        Basic.Return(312, "NO_ROUTE", "x", "t"), ContentHeader(), b"1", cast(Any, None)
    )
    scene.channel.confirms[b"2"].set_exception(DeliveryError(None, Basic.Nack(3)))
    scene.channel.confirms[b"1"].set_exception(PublishError(returned, Basic.Return()))
    scene.channel.confirms[b"0"].set_result(None)
    await scene.turns()
    assert scene.batch.over
    assert sorted(scene.batch.failures) == [1, 2]
    assert isinstance(scene.batch.failures[1], Unroutable)
    assert "nack" in str(scene.batch.failures[2])
    assert scene.publishing.unconfirmed == 0
    assert scene.progressed == 3


async def test_what_is_unconfirmed_when_the_channel_ends_is_taken_back_in_order() -> None:
    scene = Scene(5)
    await scene.publish()
    scene.channel.confirms[b"2"].set_result(None)
    await scene.turns()
    scene.channel.closing.set_exception(ConnectionLost("gone"))
    for index in (0, 1, 3, 4):
        scene.channel.confirms[b"%d" % index].set_exception(ConnectionError("gone"))
    await scene.turns()
    assert isinstance(await scene.publishing.over, ConnectionLost)
    assert not scene.publishing.has_room
    assert [message.index for message in scene.publishing.take_back()] == [0, 1, 3, 4]
    assert not scene.batch.over
    assert scene.publishing.unconfirmed == 0


async def test_a_confirm_after_the_message_was_taken_back_is_not_counted() -> None:
    scene = Scene(1)
    await scene.publish()
    scene.channel.confirms[b"0"].set_result(None)
    scene.publishing.take_back()
    await scene.turns()
    assert not scene.batch.over
    assert not scene.messages[0].settled


async def test_a_message_that_cannot_be_written_fails_alone() -> None:
    scene = Scene(3)
    scene.messages[0].properties.headers = cast(Any, {"big": "x" * 5000})
    scene.messages[1].properties.headers = {"n": cast(Any, 2**70)}
    await scene.publish()
    scene.channel.confirms[b"2"].set_result(None)
    await scene.turns()
    assert scene.batch.over
    assert isinstance(scene.batch.failures[0], MessageTooLarge)
    assert isinstance(scene.batch.failures[1], TransportError)
    assert "Unsupported numeric value" in str(scene.batch.failures[1])
    assert list(scene.channel.confirmations) == [1], "what is not written has no delivery tag"


async def test_the_window_is_bounded() -> None:
    scene = Scene(WINDOW_MESSAGES)
    assert scene.publishing.has_room
    await scene.publish()
    assert not scene.publishing.has_room
    scene.channel.confirms[b"7"].set_result(None)
    await scene.turns()
    assert scene.publishing.has_room
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def test_a_body_is_divided_into_frames_that_the_broker_takes() -> None:
    scene = Scene(1)
    scene.messages[0].body = b"abcdefgh" * 1000
    await scene.publish()
    bodies = scene.channel.write_queue.bodies
    assert [len(body) for body in bodies] == [4088, 8000 - 4088]
    assert b"".join(bodies) == scene.messages[0].body


async def test_a_message_is_found_by_its_id_until_it_is_confirmed() -> None:
    scene = Scene(2)
    scene.messages[1].properties.message_id = "mine"
    await scene.publish()
    made = scene.messages[0].properties.message_id
    assert scene.channel.message_id_delivery_tag == {made: 1, "mine": 2}
    for confirm in scene.channel.confirms.values():
        confirm.set_result(None)
    await scene.turns()
    assert scene.channel.message_id_delivery_tag == {}


async def test_with_eager_tasks_everything_is_written() -> None:
    asyncio.get_running_loop().set_task_factory(vars(asyncio).get("eager_task_factory"))
    scene = Scene(3)
    for message in scene.messages:
        scene.publishing.publish(message)
        await scene.turns()
    assert scene.channel.write_queue.bodies == [b"0", b"1", b"2"]
