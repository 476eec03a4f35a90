import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from aiokafka.errors import (
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    TopicAuthorizationFailedError,
)

from dispytch.exceptions import MessageTooLarge, SendError, TransportError
from dispytch.kafka import outbox as outbox_module
from dispytch.kafka.outbox import Outbox
from dispytch.kafka.sending import Parcel, Sending
from dispytch.kafka.uplink import Uplink


class FakeBatch:
    def __init__(self, room: int) -> None:
        self.values: list[bytes] = []
        self.room = room

    def append(self, *, timestamp: object, key: object, value: bytes, headers: object) -> object:
        if value == b"odd":
            raise TypeError("odd")
        if len(self.values) == self.room:
            return None
        self.values.append(value)
        return True

    def size(self) -> int:
        return sum(map(len, self.values))


class FakeClient:
    """A producer whose broker answers as `answer` says, and never when that is an ellipsis."""

    def __init__(self, broker: "FakeUplink") -> None:
        self.broker = broker
        self.client = broker

    def create_batch(self) -> FakeBatch:
        return FakeBatch(self.broker.room)

    async def send_batch(
        self, batch: FakeBatch, topic: str, *, partition: int
    ) -> asyncio.Future[None]:
        if self.broker.partitions is None:
            # A driver that is closed while it asks about a topic asks for ever.
            self.broker.partitions = {0}
            await self.broker.replace(self)
            await asyncio.get_running_loop().create_future()
        self.broker.under_way += 1
        assert self.broker.under_way == 1
        confirmation = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(self._answer, batch, confirmation)
        return confirmation

    def _answer(self, batch: FakeBatch, confirmation: asyncio.Future[None]) -> None:
        self.broker.under_way -= 1
        error = self.broker.answer(self, batch.values)
        if error is ...:
            self.broker.closed.add(self)
        elif error is None:
            self.broker.log += batch.values
            confirmation.set_result(None)
        else:
            confirmation.set_exception(error)


class FakeUplink:
    def __init__(self, answer: Callable[[FakeClient, list[bytes]], Any], room: int = 3) -> None:
        self.answer = answer
        self.room = room
        self.log: list[bytes] = []
        self.under_way = 0
        self.clients = 1
        self.partitions: set[int] | None = {0}
        self.closed: set[FakeClient] = set()
        self.client = FakeClient(self)

    @property
    def cluster(self) -> "FakeUplink":
        return self

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return self.partitions

    async def answered(self, client: FakeClient, asked: Awaitable[Any]) -> Any:
        return await Uplink.answered(cast(Uplink, self), cast(Any, client), asked)

    def has_closed(self, client: FakeClient) -> bool:
        return client in self.closed

    async def replace(self, spoilt: FakeClient) -> None:
        if self.client is spoilt:
            self.clients += 1
            self.client = FakeClient(self)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "_PAUSE", 0)
    monkeypatch.setattr(outbox_module, "_PATIENCE", 0.01)


async def _heal(topic: str) -> None:
    pass


def _outbox(uplink: FakeUplink) -> Outbox:
    return Outbox("t", 0, cast(Uplink, uplink), _heal)


async def _send(outbox: Outbox, values: list[bytes]) -> None:
    sending = Sending(len(values))
    for index, value in enumerate(values):
        outbox.put(Parcel(sending, index, None, value, []))
    async with asyncio.timeout(5):
        await sending.done
    sending.check()


def _values(count: int) -> list[bytes]:
    return [b"%04d" % number for number in range(count)]


async def test_everything_is_sent_in_order_a_batch_at_a_time() -> None:
    uplink = FakeUplink(lambda client, values: None)
    outbox = _outbox(uplink)
    await _send(outbox, _values(10))
    assert uplink.log == _values(10)
    assert outbox.task is None or await outbox.task is None


async def test_a_client_that_is_replaced_while_it_asks_about_the_topic_is_not_waited_for() -> None:
    uplink = FakeUplink(lambda client, values: None)
    uplink.partitions = None
    await _send(_outbox(uplink), _values(10))
    assert (uplink.log, uplink.clients) == (_values(10), 2)


async def test_calls_at_the_same_time_share_batches() -> None:
    sizes: list[int] = []
    uplink = FakeUplink(lambda client, values: sizes.append(len(values)), room=100)
    outbox = _outbox(uplink)
    await asyncio.gather(*(_send(outbox, [value]) for value in _values(50)))
    assert uplink.log == _values(50)
    assert sizes == [50]


async def test_a_spoilt_producer_is_replaced_and_the_order_kept() -> None:
    refused: list[Any] = []

    def answer(client: FakeClient, values: list[bytes]) -> Exception | None:
        if b"0004" in values and len(refused) < 3:
            refused.append(client)
            return OutOfOrderSequenceNumber()
        return None

    uplink = FakeUplink(answer)
    await _send(_outbox(uplink), _values(10))
    assert uplink.log == _values(10)
    assert len(set(refused)) == 3
    assert uplink.clients == 4


async def test_a_batch_above_the_topics_limit_is_divided_until_only_the_culprit_fails() -> None:
    def answer(client: FakeClient, values: list[bytes]) -> Exception | None:
        return MessageSizeTooLargeError() if sum(map(len, values)) > 8 else None

    uplink = FakeUplink(answer, room=100)
    values = [*_values(9), b"much too large", *_values(9)]
    with pytest.raises(SendError) as caught:
        await _send(_outbox(uplink), values)
    assert list(caught.value.failures) == [9]
    assert isinstance(caught.value.failures[9], MessageTooLarge)
    assert uplink.log == [*_values(9), *_values(9)]


async def test_a_refusal_for_good_fails_its_batch_alone() -> None:
    def answer(client: FakeClient, values: list[bytes]) -> Exception | None:
        return TopicAuthorizationFailedError() if b"0000" in values else None

    uplink = FakeUplink(answer, room=2)
    with pytest.raises(SendError) as caught:
        await _send(_outbox(uplink), _values(6))
    assert list(caught.value.failures) == [0, 1]
    assert uplink.log == _values(6)[2:]
    assert uplink.clients == 2


async def test_what_the_driver_cannot_write_fails_alone() -> None:
    uplink = FakeUplink(lambda client, values: None)
    with pytest.raises(SendError) as caught:
        await _send(_outbox(uplink), [b"a", b"odd", b"b"])
    assert {index: type(error) for index, error in caught.value.failures.items()} == {
        1: TransportError
    }
    assert uplink.log == [b"a", b"b"]


async def test_what_nobody_waits_for_any_more_is_not_sent() -> None:
    uplink = FakeUplink(lambda client, values: None, room=100)
    outbox = _outbox(uplink)
    given_up = Sending(1)
    outbox.put(Parcel(given_up, 0, None, b"late", []))
    given_up.over = True
    await _send(outbox, [b"a"])
    assert uplink.log == [b"a"]


async def test_what_a_closed_client_has_forgotten_is_sent_again() -> None:
    forgetful: list[FakeClient] = []

    def answer(client: FakeClient, values: list[bytes]) -> Any:
        if b"0004" in values and not forgetful:
            forgetful.append(client)
            return ...
        return None

    uplink = FakeUplink(answer)
    await _send(_outbox(uplink), _values(10))
    assert uplink.log == _values(10)
    assert uplink.clients == 2
