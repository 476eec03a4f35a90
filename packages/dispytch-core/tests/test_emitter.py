"""The emitter, against a producer that does what a test tells it."""

import asyncio
import pickle
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Self
from uuid import uuid4

import pytest

from dispytch import EventListener, HandlerGroup
from dispytch.emitter import EventEmitter
from dispytch.event_config import EventConfig
from dispytch.events import EventBase
from dispytch.exceptions import (
    AlreadyRunning,
    BackendNotFound,
    BrokerUnreachable,
    ConfigurationError,
    EncodeError,
    InvalidEvent,
    MessageTooLarge,
    NotRunning,
    SendError,
    SendTimeout,
    TransportError,
)
from dispytch.messages import Message
from dispytch.serialization import Envelope0x
from dispytch.transport import (
    Backend,
    Consumer,
    Features,
    OnRevoke,
    Producer,
    Subscription,
    Topology,
)


class Placed(EventBase):
    __topic__ = "orders"
    __event_type__ = "placed"
    __key__ = "{number}"

    number: Any


class FakeProducer(Producer):
    def __init__(self) -> None:
        self.batches: list[Sequence[Message]] = []
        self.failures: dict[int, TransportError] = {}
        self.error: Exception | None = None

    async def send(self, messages: Sequence[Message], *, delay: float | None = None) -> None:
        await asyncio.sleep(0)
        self.batches.append(list(messages))
        if self.error is not None:
            raise self.error
        if self.failures:
            raise SendError(self.failures, len(messages))

    @property
    def values(self) -> list[list[bytes]]:
        return [[message.value for message in batch] for batch in self.batches]


class FakeConfig(EventConfig):
    option: int


class FakeBackend(Backend):
    features = Features(
        durable=False, history=False, shared_order=False, attribute_prefixes=("fake_",)
    )
    event_config = FakeConfig

    def __init__(self) -> None:
        self.made = FakeProducer()
        self.notes: list[str] = []
        self.unreachable = False

    @classmethod
    def from_url(cls, url: str) -> Self:
        return cls()

    async def ping(self) -> None: ...

    async def prepare(self, topology: Topology) -> None: ...

    @asynccontextmanager
    async def _producer(self) -> AsyncIterator[Producer]:
        if self.unreachable:
            raise BrokerUnreachable("nobody at fake:1")
        self.notes.append("connected")
        try:
            yield self.made
        except LookupError:
            self.notes.append("saw the error")
            raise
        finally:
            self.notes.append("closed")

    def producer(self) -> AbstractAsyncContextManager[Producer]:
        return self._producer()

    def consumer(
        self, subscription: Subscription, on_revoke: OnRevoke
    ) -> AbstractAsyncContextManager[Consumer]:
        raise NotImplementedError


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


def events(*numbers: Any) -> list[Placed]:
    return [Placed(number=number) for number in numbers]


async def test_emit_sends_one_message(backend: FakeBackend) -> None:
    event = Placed(number=5)
    async with EventEmitter(backend, source="shop") as emitter:
        await emitter.emit(event)
    ((message,),) = backend.made.batches
    assert (message.topic, message.key, message.value) == ("orders", b"5", b'{"number":5}')
    assert dict(message.headers)["fake_source"] == b"shop"
    assert dict(message.headers)["fake_id"] == event.__event_id__.encode()


async def test_a_repeated_emit_keeps_the_id(backend: FakeBackend) -> None:
    event = Placed(number=5)
    async with EventEmitter(backend) as emitter:
        await emitter.emit(event)
        await emitter.emit(event)
    (first,), (second,) = backend.made.batches
    assert first == second


async def test_emit_many_sends_one_batch_in_order(backend: FakeBackend) -> None:
    async with EventEmitter(backend) as emitter:
        await emitter.emit_many(event for event in events(3, 1, 2))
    assert backend.made.values == [[b'{"number":3}', b'{"number":1}', b'{"number":2}']]


async def test_the_wire_format_can_be_chosen(backend: FakeBackend) -> None:
    async with EventEmitter(backend, wire=Envelope0x()) as emitter:
        await emitter.emit(Placed(number=1))
    ((message,),) = backend.made.batches
    assert message.value.startswith(b'{"id":"')
    assert message.value.endswith(b',"body":{"number":1}}')


async def test_the_backends_own_config_travels(backend: FakeBackend) -> None:
    class Configured(Placed):
        __backend_config__ = FakeConfig(option=3)

    async with EventEmitter(backend) as emitter:
        await emitter.emit(Configured(number=1))
    assert backend.made.batches[0][0].config == FakeConfig(option=3)


async def test_emit_raises_the_failure_itself(backend: FakeBackend) -> None:
    cause = OSError("from the driver")
    failure = MessageTooLarge("2 MB is above the limit")
    failure.__cause__ = cause
    backend.made.failures = {0: failure}
    async with EventEmitter(backend) as emitter:
        with pytest.raises(MessageTooLarge) as caught:
            await emitter.emit(Placed(number=1))
    assert caught.value is failure
    assert caught.value.__cause__ is cause


async def test_emit_many_names_those_not_confirmed(backend: FakeBackend) -> None:
    backend.made.failures = {2: SendTimeout("late"), 0: MessageTooLarge("big")}
    async with EventEmitter(backend) as emitter:
        with pytest.raises(SendError) as caught:
            await emitter.emit_many(events(1, 2, 3))
    assert list(caught.value.failures) == [0, 2]
    assert caught.value.total == 3
    assert str(caught.value) == (
        "2 of 3 messages are not confirmed (#0: big; #2: late); the others are durable"
    )


async def test_any_other_error_of_the_producer_is_raised(backend: FakeBackend) -> None:
    backend.made.error = BrokerUnreachable("gone")
    async with EventEmitter(backend) as emitter:
        for emitting in (emitter.emit(Placed(number=1)), emitter.emit_many(events(1))):
            with pytest.raises(BrokerUnreachable):
                await emitting


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_on_timeout_takes_what_timed_out_and_nothing_else(
    backend: FakeBackend, kind: str
) -> None:
    taken: list[EventBase] = []
    emitter = EventEmitter(backend)

    async def take_async(event: EventBase) -> None:
        await asyncio.sleep(0)
        taken.append(event)

    callback = taken.append if kind == "sync" else take_async
    assert emitter.on_timeout(callback) is callback, "usable as a decorator"
    first, second, third = events(1, 2, 3)
    async with emitter:
        backend.made.failures = {0: SendTimeout("late")}
        await emitter.emit(first)
        assert taken == [first]
        backend.made.failures = {0: SendTimeout("late"), 2: SendTimeout("late")}
        await emitter.emit_many([first, second, third])
        assert taken == [first, first, third]
        backend.made.failures = {1: MessageTooLarge("big"), 2: SendTimeout("late")}
        with pytest.raises(SendError) as caught:
            await emitter.emit_many([first, second, third])
        assert list(caught.value.failures) == [1]
        assert caught.value.total == 3
        assert taken == [first, first, third, third]
        backend.made.failures = {0: MessageTooLarge("big")}
        with pytest.raises(MessageTooLarge):
            await emitter.emit(first)
    assert len(taken) == 4


async def test_without_on_timeout_a_timeout_is_raised(backend: FakeBackend) -> None:
    backend.made.failures = {0: SendTimeout("late")}
    async with EventEmitter(backend) as emitter:
        with pytest.raises(SendTimeout, match="late"):
            await emitter.emit(Placed(number=1))


async def test_the_last_on_timeout_counts_and_when_it_fails_the_timeout_is_raised(
    backend: FakeBackend,
) -> None:
    emitter = EventEmitter(backend)
    taken: list[EventBase] = []
    emitter.on_timeout(taken.append)

    @emitter.on_timeout
    def fail(event: EventBase) -> None:
        raise LookupError("no room")

    backend.made.failures = {0: SendTimeout("late")}
    async with emitter:
        with pytest.raises(SendTimeout, match="late; and the on_timeout callback") as caught:
            await emitter.emit(Placed(number=1))
        assert isinstance(caught.value.__cause__, LookupError)
        backend.made.failures = {0: SendTimeout("late"), 1: MessageTooLarge("big")}
        with pytest.raises(SendError) as both:
            await emitter.emit_many(events(1, 2))
        assert list(both.value.failures) == [0, 1]
    assert taken == []


def test_a_send_error_can_be_pickled_and_names_the_others_only_if_there_are_any() -> None:
    some = SendError({1: MessageTooLarge("big")}, 2)
    again = pickle.loads(pickle.dumps(some))
    assert str(again) == str(some)
    assert "the others are durable" in str(some)
    assert "others" not in str(SendError({0: MessageTooLarge("big")}, 1))


@pytest.mark.parametrize("given", [Placed, {"number": 1}, None, [Placed(number=1)]])
async def test_only_events_can_be_emitted(backend: FakeBackend, given: Any) -> None:
    async with EventEmitter(backend) as emitter:
        for emitting in (emitter.emit(given), emitter.emit_many([Placed(number=1), given])):
            with pytest.raises(InvalidEvent) as caught:
                await emitting
            assert str(caught.value) == (
                f"an emitter takes instances of EventBase, not {type(given).__qualname__}"
            )
    assert backend.made.batches == []


async def test_one_event_that_cannot_be_written_and_none_is_sent(backend: FakeBackend) -> None:
    async with EventEmitter(backend) as emitter:
        with pytest.raises(EncodeError, match="Placed cannot be written as JSON"):
            await emitter.emit_many(events(1, object(), 3))
    assert backend.made.batches == []


async def test_outside_of_its_context_it_says_what_to_do(backend: FakeBackend) -> None:
    emitter = EventEmitter(backend)
    remedy = "the emitter is not connected: use it inside 'async with emitter:'"
    with pytest.raises(NotRunning, match=remedy):
        await emitter.emit(Placed(number=1))
    async with emitter:
        await emitter.emit(Placed(number=1))
    with pytest.raises(NotRunning, match=remedy):
        await emitter.emit_many(events(1))
    assert len(backend.made.batches) == 1


async def test_it_connects_once_and_may_be_used_again(backend: FakeBackend) -> None:
    emitter = EventEmitter(backend)
    for _ in range(2):
        async with emitter as entered:
            assert entered is emitter
            with pytest.raises(
                AlreadyRunning, match="connected already: enter it once, and share it"
            ):
                await emitter.__aenter__()
            await emitter.emit(Placed(number=1))
    assert backend.notes == ["connected", "closed"] * 2


async def test_a_broker_out_of_reach(backend: FakeBackend) -> None:
    backend.unreachable = True
    emitter = EventEmitter(backend)
    with pytest.raises(BrokerUnreachable, match="nobody at fake:1"):
        async with emitter:
            pytest.fail("entered")
    await emitter.__aexit__(None, None, None)
    backend.unreachable = False
    async with emitter:
        await emitter.emit(Placed(number=1))
    assert backend.notes == ["connected", "closed"]


async def test_an_error_inside_reaches_the_connection(backend: FakeBackend) -> None:
    with pytest.raises(LookupError):
        async with EventEmitter(backend):
            raise LookupError
    assert backend.notes == ["connected", "saw the error", "closed"]


async def test_many_tasks_may_share_it(backend: FakeBackend) -> None:
    async with EventEmitter(backend) as emitter:
        await asyncio.gather(*(emitter.emit(event) for event in events(*range(50))))
    assert sorted(backend.made.values) == sorted([b'{"number":%d}' % n] for n in range(50))


def test_what_is_wrong_is_said_when_it_is_made(backend: FakeBackend) -> None:
    with pytest.raises(ConfigurationError, match="an emitter's source must say who emits"):
        EventEmitter(backend, source="")
    with pytest.raises(BackendNotFound, match="no backend 'nothing' is installed; there are: "):
        EventEmitter("nothing://localhost")


def in_another_thread(call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine in an event loop of another thread, and say what it raised."""

    async def caught() -> BaseException | None:
        try:
            async with asyncio.timeout(5):
                await call()
        except BaseException as error:
            return error
        return None

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: asyncio.run(caught())).result()


CALLS: dict[str, Callable[[EventEmitter], Coroutine[Any, Any, Any]]] = {
    "emit": lambda emitter: emitter.emit(Placed(number=1)),
    "emit_many": lambda emitter: emitter.emit_many([Placed(number=1)]),
    "request": lambda emitter: emitter.request(Placed(number=1), reply=int),
    "leave": lambda emitter: emitter.__aexit__(None, None, None),
}


@pytest.mark.parametrize("call", CALLS)
async def test_in_another_event_loop_it_says_so_at_once(call: str) -> None:
    async with EventEmitter(f"memory://{uuid4().hex}") as emitter:
        error = await asyncio.to_thread(in_another_thread, lambda: CALLS[call](emitter))
        assert isinstance(error, NotRunning)
        assert "belongs to another event loop" in str(error)
        assert "run_coroutine_threadsafe" in str(error)
        await emitter.emit(Placed(number=1))


@pytest.mark.parametrize("call", CALLS)
def test_after_its_event_loop_has_ended_it_says_so(call: str) -> None:
    emitter = EventEmitter(f"memory://{uuid4().hex}")
    asyncio.run(emitter.__aenter__())
    error = in_another_thread(lambda: CALLS[call](emitter))
    assert isinstance(error, NotRunning)
    assert "has ended; enter it anew" in str(error)

    async def anew() -> None:
        async with emitter:
            await emitter.emit(Placed(number=1))

    asyncio.run(anew())


async def test_without_an_event_loop_it_says_so_too() -> None:
    async with EventEmitter(f"memory://{uuid4().hex}") as emitter:

        def drive() -> None:
            emitter.emit(Placed(number=1)).send(None)

        with pytest.raises(NotRunning, match="belongs to another event loop"):
            await asyncio.to_thread(drive)


async def test_a_listener_is_stopped_in_its_own_event_loop() -> None:
    group = HandlerGroup(default_topic="orders")
    group.handler()(lambda: None)
    listener = EventListener(f"memory://{uuid4().hex}", group="shop")
    listener.add_handler_group(group)
    async with listener:
        for call in (listener.stop, listener.stopped, listener.health):
            error = await asyncio.to_thread(in_another_thread, call)
            assert isinstance(error, NotRunning)
            assert "the listener belongs to another event loop" in str(error)
        assert (await listener.health()).healthy
