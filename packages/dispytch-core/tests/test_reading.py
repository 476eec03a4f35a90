"""Whatever is raised while an event is read is about that event, and about nothing else."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, TypeAdapter, field_validator

from dispytch import (
    Batch,
    DeadLetter,
    DeadLetters,
    Event,
    EventListener,
    HandlerGroup,
    upcast,
)
from dispytch.backends import backend_from
from dispytch.envelope import Envelope
from dispytch.messages import Delivery, Headers, Lease, Message
from dispytch.redelivery import Redelivery, retry_topic
from dispytch.serialization import CloudEvents, JsonCodec, Unresolved, WireFormat
from dispytch.serialization.wire import Reader

SECRET = "hunter2"


class Panic(BaseException):
    """As the panic of a module that is written in Rust."""


class Evil(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


ERRORS: dict[str, Callable[[], BaseException]] = {
    "recursion": RecursionError,
    "memory": MemoryError,
    "overflow": lambda: OverflowError(SECRET),
    "key": lambda: KeyError(SECRET),
    "unicode": lambda: UnicodeDecodeError("utf-8", SECRET.encode() + b"\xff", 7, 8, SECRET),
    "encode": lambda: UnicodeEncodeError("utf-8", f"{SECRET}\ud800", 7, 8, "surrogates"),
    "stop": StopIteration,
    "stop async": StopAsyncIteration,
    "exit": GeneratorExit,
    "cancelled": asyncio.CancelledError,
    "panic": lambda: Panic(SECRET),
    "group": lambda: BaseExceptionGroup(SECRET, [Panic(SECRET), ValueError(SECRET)]),
    "no text": Evil,
    "system": SystemError,
    "assertion": lambda: AssertionError(SECRET),
}


class Order(BaseModel):
    number: int


class Trap:
    """Raises at one stage of the reading of any event that says so in a header."""

    def __init__(self, stage: str, error: Callable[[], BaseException]) -> None:
        self.stage = stage
        self.error = error

    def spring(self, stage: str, value: bytes | None) -> None:
        if stage == self.stage and SECRET.encode() in (value or b""):
            raise self.error()


class TrappedWire(WireFormat):
    def __init__(self, trap: Trap) -> None:
        self._trap = trap
        self._inner = CloudEvents(type_of=self._type_of)

    def _type_of(self, delivery: Message) -> str | None:
        self._trap.spring("type_of", delivery.value)
        return "placed"

    def reader(self, prefixes: Sequence[str]) -> Reader:
        read = self._inner.reader(prefixes)

        def reading(delivery: Any) -> Envelope:
            self._trap.spring("wire", delivery.value)
            envelope = read(delivery)
            if self._trap.stage == "type" and SECRET.encode() in (delivery.value or b""):
                # A type that cannot be looked up: that is no text, and not hashable.
                return replace(envelope, type=[SECRET])  # type: ignore[arg-type]
            return envelope

        return reading

    def writer(self, prefixes: Sequence[str]) -> Any:
        return self._inner.writer(prefixes)


class TrappedCodec(JsonCodec):
    def __init__(self, trap: Trap) -> None:
        self._trap = trap

    def decode(self, adapter: TypeAdapter[Any], data: bytes) -> Any:
        self._trap.spring("codec", data)
        if self._trap.stage == "lookup" and SECRET.encode() in data:
            raise Unresolved(self._ask)
        return super().decode(adapter, data)

    async def _ask(self) -> None:
        await asyncio.sleep(0)
        raise self._trap.error()


STAGES = ("wire", "type_of", "type", "codec", "lookup", "validator", "upcast")


class Shop:
    """A listener whose handler notes the numbers that it gets."""

    def __init__(self, trap: Trap, *, batch: bool = False, **options: Any) -> None:
        self.url = f"memory://{uuid4().hex}"
        self.numbers: list[int] = []
        self._news = asyncio.Event()

        class Trapped(Order):
            @field_validator("number", mode="before")
            @classmethod
            def _check(cls, number: Any) -> Any:
                trap.spring("validator", str(number).encode())
                return 0 if number == SECRET else number

        @upcast(event="placed", from_version=1)
        def older(data: Any) -> Any:
            trap.spring("upcast", str(data).encode())
            return data

        group = HandlerGroup(default_topic="orders", upcasts=[older])

        async def handle(event: Event[Trapped]) -> None:
            self._note(event.body.number)

        async def handle_all(events: list[Event[Trapped]]) -> None:
            for event in events:
                self._note(event.body.number)

        upcast_ = trap.stage == "upcast"
        plain = HandlerGroup(default_topic="orders") if not upcast_ else group
        if batch:
            plain.handler(event="placed", batch=Batch(10, wait=0.01))(handle_all)
        else:
            plain.handler(event="placed")(handle)
        self.listener = EventListener(
            self.url,
            group="shop",
            wire=TrappedWire(trap),
            codecs=[TrappedCodec(trap)],
            **options,
        )
        self.listener.add_handler_group(plain)

    def _note(self, number: int) -> None:
        self.numbers.append(number)
        self._news.set()

    async def send(self, *messages: Message) -> None:
        async with backend_from(self.url).producer() as producer:
            await producer.send(messages)

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not met():  # noqa: ASYNC110 - outcomes have no event for that
                await asyncio.sleep(0.005)

    async def letters(self) -> list[DeadLetter]:
        return await DeadLetters(self.url, topic="orders", group="shop").read()


def order(value: str, topic: str = "orders", headers: Headers = ()) -> Message:
    return Message(topic, b'{"number": %s}' % value.encode(), None, headers)


def returned(message: Message) -> Message:
    """The message as it comes back through the group's own topic."""
    delivery = Delivery(
        message.topic, message.value, None, message.headers, Lease("orders", "orders[0]"), 1
    )
    return Redelivery(topic="orders", attempt=2).message(delivery, "shop")


EVERY = [(error, "codec") for error in ERRORS] + [("panic", stage) for stage in STAGES]


@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
@pytest.mark.parametrize("back", [False, True], ids=["first", "returned"])
@pytest.mark.parametrize(("error", "stage"), EVERY)
async def test_what_is_raised_while_an_event_is_read_makes_it_undecodable(
    error: str, stage: str, back: bool, batch: bool, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop(Trap(stage, ERRORS[error]), batch=batch)
    bad, good = order(f'"{SECRET}"'), order("7")
    async with shop.listener:
        await shop.send(returned(bad) if back else bad, good)
        await shop.until(lambda: shop.listener.outcomes.dead_lettered == 1 and bool(shop.numbers))
        assert await shop.listener.health()
        [letter] = await shop.letters()
    assert shop.numbers == [7]
    assert letter.reason in ("undecodable", "invalid")
    assert letter.value == bad.value
    assert SECRET not in letter.error
    assert SECRET not in str(letter.traceback)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
@pytest.mark.parametrize("stage", ["wire", "codec"])
@pytest.mark.parametrize("policy", ["drop", "halt"])
async def test_the_failure_policy_decides_about_it(policy: Any, stage: str, batch: bool) -> None:
    shop = Shop(Trap(stage, ERRORS["panic"]), batch=batch, dead_letter=policy)
    listening = asyncio.ensure_future(shop.listener.listen())
    await shop.send(order(f'"{SECRET}"'), order("7"))
    if policy == "halt":
        with pytest.raises(Exception, match="Panic in spring") as halted:
            await asyncio.wait_for(listening, 5)
        assert SECRET not in str(halted.value)
        return
    await shop.until(lambda: bool(shop.numbers))
    assert shop.listener.outcomes.dropped == 1
    await shop.listener.stop()
    await listening


STRUCTURED: Headers = (("content-type", b"application/cloudevents+json"),)
JSON: Headers = (("content-type", b"application/json"), ("type", b"placed"))
HEAD = b'{"specversion":"1.0","id":"1","source":"/x","type":"placed",'

HOSTILE: dict[str, tuple[bytes, Headers]] = {
    "infinite version": (HEAD + b'"dataversion":1e999,"data":{}}', STRUCTURED),
    "huge version": (HEAD + b'"dataversion":%s,"data":{}}' % (b"9" * 5000), STRUCTURED),
    "text version": (HEAD + b'"dataversion":"%s","data":{}}' % (b"9" * 5000), STRUCTURED),
    "NaN version": (HEAD + b'"dataversion":NaN,"data":{}}', STRUCTURED),
    "odd version": (HEAD + b'"dataversion":{"a":[1]},"data":{}}', STRUCTURED),
    "deep": (b"[" * 100_000, JSON),
    "deep and closed": (b"[" * 100_000 + b"]" * 100_000, JSON),
    "deep structured": (HEAD + b'"data":' + b"[" * 50_000 + b"]" * 50_000 + b"}", STRUCTURED),
    "huge int": (b'{"number":%s}' % (b"9" * 10_000), JSON),
    "NaN key": (b'{NaN:1,"number":7}', JSON),
    "NaN": (b'{"number":NaN}', JSON),
    "lone surrogate": (b'{"number":"\\ud800"}', JSON),
    "lone surrogate key": (b'{"\\udfff":1}', JSON),
    "not UTF-8": (b'{"number":"\xff"}', JSON),
    "no id": (b'{"specversion":"1.0"}', STRUCTURED),
    "id no text": (b'{"specversion":"1.0","id":[],"source":"x","type":"placed"}', STRUCTURED),
    "time no time": (b"{}", (*JSON, ("ce-time", b"9" * 400), ("ce-type", b"placed"))),
    "base64": (HEAD + b'"data_base64":"\\ud83d"}', STRUCTURED),
    "base64 number": (HEAD + b'"data_base64":12}', STRUCTURED),
    "version header": (
        b"{}",
        (
            *JSON,
            ("ce_specversion", b"1.0"),
            ("ce_id", b"1"),
            ("ce_source", b"/"),
            ("ce_type", b"placed"),
            ("ce_dataversion", b"9" * 10_000),
        ),
    ),
}


class Strict(BaseModel):
    number: int


@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
@pytest.mark.parametrize("back", [False, True], ids=["first", "returned"])
@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_bytes_harm_themselves_alone(name: str, back: bool, batch: bool) -> None:
    value, headers = HOSTILE[name]
    bad = Message("orders", value, None, headers)
    good = Message("orders", b'{"number": 7}', None, JSON)
    numbers: list[int] = []
    group = HandlerGroup(default_topic="orders", default_event="placed")

    async def handle(event: Event[Strict]) -> None:
        numbers.append(event.body.number)

    async def handle_all(events: list[Event[Strict]]) -> None:
        numbers.extend(event.body.number for event in events)

    if batch:
        group.handler(batch=Batch(10, wait=0.01))(handle_all)
    else:
        group.handler()(handle)
    shop = Shop(Trap("none", KeyError))
    listener = EventListener(shop.url, group="shop", unhandled="drop")
    listener.add_handler_group(group)
    async with listener:
        await shop.send(returned(bad) if back else bad, good)
        outcomes = listener.outcomes
        await shop.until(
            lambda: outcomes.dead_lettered + outcomes.dropped == 1 and outcomes.handled == 1
        )
        assert await listener.health()
    assert numbers == [7]


NUMBERS = [b"9" * 400, b"9" * 5000, b"-" + b"9" * 400, b"1e999", b"nan", b"", b"\xff", b"0x10"]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "name",
    [
        "dispytch-due",
        "dispytch-attempt",
        "dispytch-failures",
        "dispytch-first-attempt",
        "dispytch-waiting-since",
        "dispytch-waiting-number",
    ],
)
async def test_numbers_on_the_retry_topic_harm_their_event_alone(name: str, number: bytes) -> None:
    shop = Shop(Trap("none", KeyError))
    bad = returned(order("1"))
    bad.headers = [(one, number if one == name else value) for one, value in bad.headers]
    if name not in dict(bad.headers):
        bad.headers = [*bad.headers, (name, number)]
    async with shop.listener:
        await shop.send(bad, order("7", retry_topic("shop")), order("7"))
        await shop.until(lambda: 7 in shop.numbers)
        await shop.until(lambda: shop.listener.outcomes.dead_lettered + len(shop.numbers) >= 2)
        assert await shop.listener.health()
