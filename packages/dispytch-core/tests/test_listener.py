"""The listener as a whole, on the in-memory backend."""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any
from uuid import uuid4

import pytest
from pydantic import BaseModel

from dispytch import (
    Dependency,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    Header,
    RetryPolicy,
    TopicSegment,
)
from dispytch.delivery import Outcomes
from dispytch.exceptions import (
    AlreadyRunning,
    BodyInvalid,
    ConfigurationError,
    DecodeError,
    DependencyError,
    DispytchError,
    EventHalted,
    InvalidHandler,
    NotRunning,
    SendTimeout,
)
from dispytch.middleware import ConcurrencyLimit, RateLimit
from dispytch.serialization import JsonCodec


class Order(BaseModel):
    number: int


class Placed(EventBase):
    __topic__ = "orders"
    __event_type__ = "placed"
    __key__ = "{customer}"

    number: int
    customer: str = "ada"


class Note(EventBase):
    __topic__ = "notes"
    __event_type__ = "note"

    text: str


class Seen:
    """What handlers have seen, and a way to wait for it."""

    def __init__(self) -> None:
        self.things: list[Any] = []
        self._news = asyncio.Event()

    def add(self, thing: Any) -> None:
        self.things.append(thing)
        self._news.set()

    async def wait(self, count: int) -> list[Any]:
        async with asyncio.timeout(5):
            while len(self.things) < count:
                self._news.clear()
                await self._news.wait()
        return self.things


@pytest.fixture
def url() -> str:
    return f"memory://{uuid4().hex}"


@pytest.fixture
def seen() -> Seen:
    return Seen()


def listening(url: str, *groups: HandlerGroup, **options: Any) -> EventListener:
    listener = EventListener(url, group="shop", **options)
    for group in groups:
        listener.add_handler_group(group)
    return listener


async def emit(url: str, *events: EventBase) -> None:
    async with EventEmitter(url) as emitter:
        await emitter.emit_many(events)


async def test_an_event_reaches_its_handler_with_all_that_is_known_of_it(
    url: str, seen: Seen
) -> None:
    group = HandlerGroup()

    @group.handler(topic="orders", event="placed")
    async def handle(event: Event[Order]) -> None:
        seen.add(event)

    placed = Placed(number=7)
    async with listening(url, group):
        await emit(url, placed)
        [event] = await seen.wait(1)
    assert event.body == Order(number=7)
    assert (event.id, event.type, event.topic) == (placed.__event_id__, "placed", "orders")
    assert (event.key, event.attempt, event.source) == ("ada", 1, "dispytch")
    assert event.timestamp.isoformat().replace("+00:00", "Z") == placed.__event_time__
    assert event.headers["content-type"] == "application/json"
    assert event.stream.startswith("orders")


async def test_bare_events_catch_alls_and_plain_functions_work(url: str, seen: Seen) -> None:
    group = HandlerGroup(default_topic="orders")

    @group.handler()
    async def everything(event: Event) -> None:  # type: ignore[type-arg]
        seen.add(event.body)

    @group.handler(event="placed")
    def in_a_thread(event: Event[dict[str, Any]]) -> None:
        event.body["thread"] = True
        asyncio.run_coroutine_threadsafe(note(event.body), loop)

    async def note(body: Any) -> None:
        seen.add(body)

    loop = asyncio.get_running_loop()
    async with listening(url, group):
        await emit(url, Placed(number=7))
        bodies = await seen.wait(2)
    assert {"number": 7, "customer": "ada"} in bodies
    assert {"number": 7, "customer": "ada", "thread": True} in bodies


async def test_a_handler_emits_through_the_emitter_that_it_asks_for(url: str, seen: Seen) -> None:
    group = HandlerGroup()

    @group.handler(topic="orders", event="placed")
    async def handle(event: Event[Order], emitter: EventEmitter) -> None:
        await emitter.emit(Note(text=f"order {event.body.number}"))

    @group.handler(topic="notes", event="note")
    async def note(event: Event[Note]) -> None:
        seen.add((event.body.text, event.source))

    async with listening(url, group):
        await emit(url, Placed(number=7))
        assert await seen.wait(1) == [("order 7", "shop")]


async def test_middlewares_run_around_each_other_from_listener_to_handler(
    url: str, seen: Seen
) -> None:
    def middleware(name: str) -> Callable[..., Awaitable[Any]]:
        async def run(event: Event[Any], call_next: Callable[..., Awaitable[Any]]) -> Any:
            seen.add(f"{name} in")
            try:
                return await call_next(event)
            finally:
                seen.add(f"{name} out")

        return run

    inner = HandlerGroup(middlewares=[middleware("inner")])
    outer = HandlerGroup(middlewares=[middleware("outer")])
    outer.add_handler_group(inner)

    @inner.handler(topic="orders", middlewares=[middleware("own")])
    async def handle(event: Event[Order]) -> None:
        seen.add("handler")

    async with listening(url, outer, middlewares=[middleware("listener")]):
        await emit(url, Placed(number=7))
        things = await seen.wait(9)
    order = ["listener", "outer", "inner", "own"]
    ins, outs = [f"{name} in" for name in order], [f"{name} out" for name in reversed(order)]
    assert things == [*ins, "handler", *outs]


async def test_events_that_wait_for_a_limit_take_no_worker_and_start_when_there_is_room(
    url: str, seen: Seen
) -> None:
    group, gate = HandlerGroup(), asyncio.Event()

    @group.handler(topic="orders", middlewares=[ConcurrencyLimit(1)])
    async def limited(event: Event[Order]) -> None:
        seen.add(("limited", event.attempt))
        await gate.wait()

    @group.handler(topic="notes")
    async def free(event: Event[Any]) -> None:
        seen.add("free")

    async with listening(url, group, concurrency=2) as listener:
        await emit(url, *[Placed(number=number, customer=str(number)) for number in range(20)])
        await seen.wait(1)
        await emit(url, Note(text=""))
        assert await seen.wait(2) == [("limited", 1), "free"]
        began = asyncio.get_running_loop().time()
        gate.set()
        await seen.wait(21)
        # Woken as soon as a place is free; nobody had to ask again after 5 seconds.
        assert asyncio.get_running_loop().time() - began < 4
    assert seen.things[2:] == [("limited", 1)] * 19
    assert listener.outcomes == Outcomes(handled=21, postponed=listener.outcomes.postponed)
    assert 18 <= listener.outcomes.postponed <= 19


async def test_a_rate_is_kept_and_nothing_is_lost(url: str, seen: Seen) -> None:
    group = HandlerGroup()

    @group.handler(topic="orders", middlewares=[RateLimit(200)])
    async def handle(event: Event[Order]) -> None:
        seen.add(asyncio.get_running_loop().time())

    async with listening(url, group, concurrency=2):
        await emit(url, *[Placed(number=number, customer=str(number)) for number in range(40)])
        times = await seen.wait(40)
    assert times[-1] - times[0] >= 39 / 200 - 0.01


async def test_a_failing_handler_is_retried_before_the_next_event_of_its_key(
    url: str, seen: Seen
) -> None:
    group = HandlerGroup()

    @group.handler(topic="orders", retries=2, retry_on=ValueError, retry_interval=0.01)
    async def handle(event: Event[Order]) -> None:
        seen.add((event.body.number, event.attempt))
        if event.body.number == 1 and event.attempt < 3:
            raise ValueError("not yet")

    async with listening(url, group):
        await emit(url, Placed(number=1), Placed(number=2))
        assert await seen.wait(4) == [(1, 1), (1, 2), (1, 3), (2, 1)]


async def test_the_listener_s_retry_policy_reaches_handlers_that_have_none(
    url: str, seen: Seen
) -> None:
    group = HandlerGroup()

    @group.handler(topic="orders")
    async def handle(event: Event[Order]) -> None:
        seen.add(event.attempt)
        if event.attempt == 1:
            raise ValueError

    async with listening(url, group, retry=RetryPolicy(attempts=2, delay=0)):
        await emit(url, Placed(number=1))
        assert await seen.wait(2) == [1, 2]


@pytest.mark.parametrize("value", [b"\xff", b'{"number": "many"}'])
async def test_a_body_that_cannot_be_had_halts_and_is_left_to_the_next_listener(
    url: str, seen: Seen, value: bytes
) -> None:
    group = HandlerGroup()

    @group.handler(topic="notes")
    async def handle(event: Event[Order]) -> None:
        raise AssertionError("never called")

    await emit(url, Note(text="no order"))
    for _ in range(2):
        with pytest.raises(EventHalted, match=r"handle.*notes") as halted:
            await asyncio.wait_for(listening(url, group, dead_letter="halt").listen(), 5)
        assert isinstance(halted.value.__cause__, BodyInvalid | DecodeError)


async def test_dropped_events_let_the_others_pass(url: str, seen: Seen) -> None:
    group = HandlerGroup()

    @group.handler(topic="orders", dead_letter="drop")
    async def handle(event: Event[Order]) -> None:
        if event.body.number == 1:
            raise ValueError("never")
        seen.add(event.body.number)

    async with listening(url, group) as listener:
        await emit(url, Placed(number=1), Placed(number=2))
        assert await seen.wait(1) == [2]
    assert (listener.outcomes.handled, listener.outcomes.dropped) == (1, 1)


async def test_stopping_in_the_middle_loses_nothing_and_repeats_nothing(
    url: str, seen: Seen
) -> None:
    group = HandlerGroup()

    @group.handler(topic="orders")
    async def handle(event: Event[Order]) -> None:
        await asyncio.sleep(0)
        seen.add(event.body.number)

    await emit(url, *(Placed(number=n, customer=str(n % 7)) for n in range(500)))
    while len(seen.things) < 500:
        already = len(seen.things)
        async with listening(url, group, concurrency=4):
            await seen.wait(min(500, already + 60))
    assert sorted(seen.things) == list(range(500))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_listening_cleanly(
    url: str, seen: Seen, number: signal.Signals
) -> None:
    group = HandlerGroup()

    @group.handler(topic="orders")
    async def handle(event: Event[Order]) -> None:
        os.kill(os.getpid(), number)
        await asyncio.sleep(0)
        seen.add(event.body.number)

    await emit(url, Placed(number=1))
    before = signal.getsignal(number)
    await asyncio.wait_for(listening(url, group, dead_letter="halt").listen(), 5)
    assert seen.things == [1]
    assert signal.getsignal(number) == before


async def test_a_second_signal_cuts_draining_short(url: str, seen: Seen) -> None:
    group = HandlerGroup()

    @group.handler(topic="orders")
    async def handle(event: Event[Order]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        seen.add("started")
        await asyncio.Event().wait()

    await emit(url, Placed(number=1))
    await asyncio.wait_for(listening(url, group, drain_timeout=60).listen(), 5)
    assert seen.things == ["started"]


async def test_stop_ends_listen_and_may_come_from_a_handler(url: str, seen: Seen) -> None:
    group = HandlerGroup()

    @group.handler(topic="orders")
    async def handle(event: Event[Order]) -> None:
        stopping.append(asyncio.create_task(listener.stop()))
        seen.add(event.body.number)

    stopping: list[asyncio.Task[None]] = []
    listener = listening(url, group)
    await emit(url, Placed(number=1))
    await asyncio.wait_for(listener.listen(), 5)
    await asyncio.gather(*stopping)
    assert seen.things == [1]


async def test_a_listener_can_run_again_after_it_has_ended(url: str, seen: Seen) -> None:
    group = HandlerGroup()

    @group.handler(topic="orders")
    async def handle(event: Event[Order]) -> None:
        seen.add(event.body.number)

    listener = listening(url, group)
    for number in (1, 2):
        async with listener:
            await emit(url, Placed(number=number))
            await seen.wait(number)
    assert seen.things == [1, 2]


async def test_an_error_inside_the_context_is_not_masked(url: str) -> None:
    group = HandlerGroup(default_topic="orders")
    group.handler()(lambda: None)
    with pytest.raises(KeyError, match="mine"):
        async with listening(url, group):
            raise KeyError("mine")


async def test_stopping_or_waiting_without_running(url: str) -> None:
    listener = EventListener(url, group="shop")
    await listener.stop()
    with pytest.raises(NotRunning, match="not running"):
        await listener.stopped()


async def test_def_handlers_run_beside_each_other_up_to_the_concurrency(url: str) -> None:
    group, together = HandlerGroup(), threading.Barrier(40)

    @group.handler(topic="orders")
    def handle(event: Event[Order]) -> None:
        together.wait(5)

    async with listening(url, group, concurrency=40) as listener:
        await emit(url, *(Placed(number=n, customer=str(n)) for n in range(40)))
        async with asyncio.timeout(10):
            while listener.outcomes.handled < 40:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


class LoudJson(JsonCodec):
    content_type = "application/vnd.loud+json"
    reads = ("application/json",)


async def test_an_emitter_in_a_handler_writes_with_the_first_codec(url: str, seen: Seen) -> None:
    group = HandlerGroup()

    @group.handler(topic="orders")
    async def handle(event: Event[Order], emitter: EventEmitter) -> None:
        await emitter.emit(Note(text="seen"))

    @group.handler(topic="notes")
    async def note(event: Event) -> None:
        seen.add(event.envelope.content_type)

    async with listening(url, group, codecs=[LoudJson()]):
        await emit(url, Placed(number=1))
        assert await seen.wait(1) == ["application/vnd.loud+json"]


async def test_a_handler_may_wait_for_stop_without_waiting_for_itself(url: str) -> None:
    group, listener = HandlerGroup(), EventListener(url, group="shop")

    @group.handler(topic="orders")
    async def handle(event: Event[Order]) -> None:
        await listener.stop()

    listener.add_handler_group(group)
    await emit(url, Placed(number=1))
    await asyncio.wait_for(listener.listen(), 5)
    assert listener.outcomes.handled == 1


async def test_a_handler_that_cancels_its_own_task_ends_the_listener_loudly(url: str) -> None:
    group = HandlerGroup()

    @group.handler(topic="orders", dead_letter="drop")
    async def handle(event: Event[Order]) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    await emit(url, Placed(number=1))
    with pytest.raises(DispytchError, match=r"was cancelled.*orders\["):
        await asyncio.wait_for(listening(url, group).listen(), 5)


async def test_a_cancellation_that_a_handler_swallows_harms_no_other_event(url: str) -> None:
    group = HandlerGroup()

    @group.handler(topic="orders")
    async def handle(event: Event[Order]) -> None:
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()
        with contextlib.suppress(asyncio.CancelledError):
            task.cancel()
            await asyncio.sleep(0)

    async with listening(url, group, concurrency=1) as listener:
        await emit(url, Placed(number=1), Placed(number=2))
        async with asyncio.timeout(5):
            while listener.outcomes.handled < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_a_handler_is_taken_once_for_the_same_events(url: str) -> None:
    group = HandlerGroup(default_topic="orders")
    group.handler()(_no_topic)
    with pytest.raises(InvalidHandler, match="_no_topic is registered twice"):
        await listening(url, group, group).listen()


async def test_handlers_of_one_name_are_told_apart(url: str, seen: Seen) -> None:
    group = HandlerGroup(default_topic="orders")

    def register(number: int) -> None:
        @group.handler()
        async def handle(event: Event[Order]) -> None:
            seen.add(event.handler.rpartition(".")[2] + f" is {number}")

    for number in range(3):
        register(number)
    async with listening(url, group):
        await emit(url, Placed(number=1))
        assert await seen.wait(3) == ["handle is 0", "handle#2 is 1", "handle#3 is 2"]


async def test_entering_twice_is_refused(url: str) -> None:
    group = HandlerGroup(default_topic="orders")
    group.handler()(lambda: None)
    listener = listening(url, group)
    async with listener:
        with pytest.raises(AlreadyRunning, match="running already"):
            await listener.__aenter__()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"group": ""}, "group must be a name"),
        ({"concurrency": 0}, "concurrency must be at least 1"),
        ({"ordering": "keys"}, "ordering"),
        ({"max_in_flight": 0}, "max_in_flight"),
        ({"drain_timeout": -1}, "drain_timeout"),
        ({"dead_letter": "ignore"}, "'halt', 'drop'"),
        ({"start_at": "now"}, "start_at"),
        ({"retry": 3}, "retry: no RetryPolicy"),
        ({"concurrency": "8"}, "concurrency"),
        ({"concurrency": 1.5}, "concurrency"),
        ({"max_in_flight": "8"}, "max_in_flight"),
        ({"drain_timeout": "30"}, "drain_timeout"),
        ({"stuck_after": None}, "stuck_after"),
        ({"unhandled": "keep"}, "unhandled must be 'ignore'"),
        ({"codecs": None}, "codecs"),
        ({"codecs": [5]}, "codecs"),
        ({"middlewares": 5}, "middlewares"),
        ({"middlewares": ["log"]}, "middleware"),
        ({"wire": "json"}, "wire: no WireFormat"),
        ({"codecs": ()}, "codecs"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    url: str, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        EventListener(url, **({"group": "shop"} | options))


def test_a_listener_without_group_is_refused(url: str) -> None:
    with pytest.raises(TypeError, match="group"):
        EventListener(url)  # type: ignore[call-arg]


async def test_a_listener_without_handlers_is_refused_at_start(url: str) -> None:
    with pytest.raises(ConfigurationError, match="add_handler_group"):
        await EventListener(url, group="shop").listen()


def _session() -> Iterator[str]:
    yield "one"
    yield "two"


def _first(second: Annotated[str, Dependency(lambda: "x")]) -> str:
    return second


async def _no_topic(event: Event[Order]) -> None: ...
async def _unprovided(event: Event[Order], service: str) -> None: ...
async def _two_yields(event: Event[Order], s: Annotated[str, Dependency(_session)]) -> None: ...
async def _two_bodies(first: Event[Order], second: Event[Note]) -> None: ...
async def _no_schema(event: Event[asyncio.Lock]) -> None: ...


@pytest.mark.parametrize(
    ("handler", "topic", "kind", "text"),
    [
        (_no_topic, None, InvalidHandler, r"_no_topic has no topic.*default_topic"),
        (_unprovided, "orders", DependencyError, r"_unprovided.*service"),
        (_two_yields, "orders", DependencyError, r"_two_yields.*_session"),
        (_two_bodies, "orders", ConfigurationError, r"_two_bodies.*Note.*Order"),
        (_no_schema, "orders", InvalidHandler, r"_no_schema.*Lock"),
    ],
)
async def test_wrong_wiring_fails_at_start(
    url: str, handler: Any, topic: str | None, kind: type[Exception], text: str
) -> None:
    group = HandlerGroup()
    group.handler(topic=topic)(handler)
    with pytest.raises(kind, match=f"(?s){text}"):
        await asyncio.wait_for(listening(url, group, dead_letter="halt").listen(), 5)


class Incomplete(BaseModel):
    items: "list[Missing]"  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (Event[Incomplete], InvalidHandler),
        (Event[list[Incomplete]], InvalidHandler),
        (Annotated[Incomplete, Header()], DependencyError),
        (Annotated[Incomplete, TopicSegment(alias="id")], DependencyError),
    ],
)
async def test_a_type_that_names_what_is_not_there_is_refused_at_the_start(
    url: str, annotation: Any, kind: type[Exception]
) -> None:
    group = HandlerGroup()

    async def handle(given: Any) -> None: ...

    handle.__annotations__["given"] = annotation
    group.handler(topic="orders.{id}")(handle)
    with pytest.raises(kind, match=r"handle.*`Missing` is not defined.*model_rebuild"):
        async with listening(url, group):
            pass


async def test_so_is_a_reply_that_is_asked_for(url: str) -> None:
    async with EventEmitter(url) as emitter:
        with pytest.raises(ConfigurationError, match="`Missing` is not defined"):
            await emitter.request(Note(text="?"), reply=Incomplete)


async def test_a_broker_that_is_slow_makes_no_dead_letter_whatever_retry_on_says() -> None:
    group = HandlerGroup()

    @group.handler(topic="orders", retries=3, retry_on=KeyError, retry_interval=30)
    async def handle(event: Event[Order], emitter: EventEmitter) -> None:
        try:
            await emitter.emit(Note(text="hello"))
        except SendTimeout as error:
            raise RuntimeError("no note") from error

    listener = EventListener("kafka://localhost", group="shop")
    listener.add_handler_group(group)
    async with listener.test() as probe:
        probe.fail_emits(SendTimeout("late"), times=2)
        await probe.emit(Placed(number=1))
        await probe.settled()
        assert len(probe.failed) == 2
        assert not probe.dead_lettered
        assert probe.emitted.of(Note) == [Note(text="hello")]


@pytest.mark.parametrize("under_test", [False, True])
async def test_a_handler_that_is_added_after_the_start_is_refused(
    url: str, under_test: bool
) -> None:
    outer, inner = HandlerGroup(), HandlerGroup(default_topic="orders")
    inner.handler()(lambda: None)
    outer.add_handler_group(inner)
    listener = listening(url, outer)

    def late() -> None: ...

    async with listener.test() if under_test else listener:
        for add in (
            lambda: inner.handler()(late),
            lambda: outer.handler(topic="others")(late),
            lambda: outer.add_handler_group(HandlerGroup()),
            lambda: listener.add_handler_group(HandlerGroup()),
        ):
            with pytest.raises(InvalidHandler, match=r"after the listener .* has started.*import"):
                add()
    inner.handler(event="placed")(late)
    async with listener:
        pass


async def test_a_start_that_fails_leaves_the_groups_open(url: str) -> None:
    group = HandlerGroup(default_topic="orders")

    def broken() -> None:
        raise LookupError

    @group.handler()
    async def handle(made: Annotated[None, Dependency(broken, scope="app")]) -> None: ...

    with pytest.raises(DependencyError):
        await listening(url, group).listen()
    group.handler(event="placed")(lambda: None)
