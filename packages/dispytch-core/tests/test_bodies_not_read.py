"""Bodies that nobody asks for, or that are too large, are not read; nor are they shown."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Annotated, Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from dispytch import (
    Batch,
    DeadLetter,
    DeadLetters,
    DeadLetterTopic,
    Dependency,
    Event,
    EventListener,
    HandlerGroup,
    Header,
)
from dispytch.backends import backend_from
from dispytch.exceptions import ConfigurationError
from dispytch.messages import Delivery, Headers, Message
from dispytch.serialization import CloudEvents, Envelope0x, JsonCodec

SECRET = "hunter2"
TYPED: Headers = (("content-type", b"application/json"), ("type", b"placed"))


class Order(BaseModel):
    number: int


class CountingJson(JsonCodec):
    def __init__(self) -> None:
        self.decoded = 0

    def decode(self, adapter: TypeAdapter[Any], data: bytes) -> Any:
        self.decoded += 1
        return super().decode(adapter, data)


class Ran:
    def __init__(self) -> None:
        self.count = 0


@pytest.fixture
def url() -> str:
    return f"memory://{uuid4().hex}"


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not met():  # noqa: ASYNC110 - outcomes have no event for that
            await asyncio.sleep(0.005)


async def settled(listener: EventListener, url: str, *messages: Message) -> None:
    """Send messages to a listener, and wait until all of them have an outcome."""
    async with listener:
        async with backend_from(url).producer() as producer:
            await producer.send(messages)
        outcomes = listener.outcomes
        await until(
            lambda: (
                outcomes.handled + outcomes.dead_lettered + outcomes.dropped + outcomes.unhandled
                >= len(messages)
            )
        )


async def letters(url: str) -> list[DeadLetter]:
    return await DeadLetters(url, topic="orders", group="shop").read()


def nobody() -> None: ...


def takes_delivery(delivery: Delivery) -> None: ...


def takes_message(message: Message) -> None: ...


def takes_header(tenant: Annotated[str | None, Header("x-tenant")] = None) -> None: ...


def takes_dependency(name: Annotated[str, Dependency(lambda: "x")]) -> None: ...


WITHOUT_BODY = [nobody, takes_delivery, takes_message, takes_header, takes_dependency]


@pytest.mark.parametrize("handler", WITHOUT_BODY)
@pytest.mark.parametrize("value", [b"\xff no JSON", b'{"number": 7}', b"x" * 2000, None])
async def test_where_nobody_asks_for_a_body_none_is_read(
    url: str, handler: Callable[..., None], value: bytes | None
) -> None:
    codec, group = CountingJson(), HandlerGroup(default_topic="orders")
    group.handler(event="placed")(handler)
    listener = EventListener(url, group="shop", codecs=[codec], max_body_bytes=1000)
    listener.add_handler_group(group)
    await settled(listener, url, Message("orders", value, None, TYPED))
    assert listener.outcomes.handled == 1
    assert codec.decoded == 0


async def test_where_a_dependency_asks_for_the_event_its_body_is_read(url: str) -> None:
    def number(event: Event[Order]) -> int:
        return event.body.number

    codec, group = CountingJson(), HandlerGroup(default_topic="orders")

    @group.handler(event="placed")
    async def handle(number: Annotated[int, Dependency(number)]) -> None:
        assert number == 7

    listener = EventListener(url, group="shop", codecs=[codec])
    listener.add_handler_group(group)
    await settled(listener, url, Message("orders", b'{"number": 7}', None, TYPED))
    assert (listener.outcomes.handled, codec.decoded) == (1, 1)


def taking_orders(batch: bool) -> HandlerGroup:
    group = HandlerGroup(default_topic="orders", default_event="placed")

    async def handle(event: Event[Order]) -> None: ...

    async def handle_all(events: list[Event[Order]]) -> None: ...

    if batch:
        group.handler(batch=Batch(10, wait=0.01))(handle_all)
    else:
        group.handler()(handle)
    return group


@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
async def test_a_body_beyond_the_limit_is_not_read(url: str, batch: bool) -> None:
    codec = CountingJson()
    listener = EventListener(url, group="shop", codecs=[codec], max_body_bytes=100)
    listener.add_handler_group(taking_orders(batch))
    large = b'{"number": 7, "note": "%s"}' % (b"x" * 100)
    sent = [Message("orders", value, None, TYPED) for value in (large, b'{"number": 7}')]
    await settled(listener, url, *sent)
    assert (listener.outcomes.handled, codec.decoded) == (1, 1)
    [letter] = await letters(url)
    assert (letter.reason, letter.value) == ("undecodable", large)
    assert "125 bytes, more than max_body_bytes=100" in letter.error
    assert letter.handler is not None


@pytest.mark.parametrize("wire", [CloudEvents(), Envelope0x()], ids=["structured", "0.x"])
async def test_an_envelope_within_such_a_body_is_not_read_either(url: str, wire: Any) -> None:
    listener = EventListener(url, group="shop", wire=wire, max_body_bytes=100, unhandled="ignore")
    listener.add_handler_group(taking_orders(batch=False))
    value = b'{"specversion":"1.0","id":"1","source":"/","type":"placed","data":{"number":7}%s}'
    if isinstance(wire, Envelope0x):
        value = b'{"id":"1","type":"placed","timestamp":1,"body":{"number":7}%s}'
    headers = (("content-type", b"application/cloudevents+json"),)
    await settled(listener, url, Message("orders", value % (b" " * 100), None, headers))
    [letter] = await letters(url)
    assert letter.reason == "undecodable"
    assert "max_body_bytes" in letter.error


async def test_without_a_limit_all_is_read(url: str) -> None:
    listener = EventListener(url, group="shop", max_body_bytes=None)
    listener.add_handler_group(taking_orders(batch=False))
    large = b'{"number": 7, "note": "%s"}' % (b"x" * 20_000_000)
    await settled(listener, url, Message("orders", large, None, TYPED))
    assert listener.outcomes.handled == 1


@pytest.mark.parametrize("limit", [0, -1, 1.5, "1", True])
def test_a_limit_that_is_none_is_refused(url: str, limit: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_body_bytes"):
        EventListener(url, group="shop", max_body_bytes=limit)


class _Lines(logging.Handler):
    """What a formatter of one's own makes of records, as those who log in JSON do."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += record.getMessage() + str(record.exc_text)
        if record.exc_info:
            self.text += logging.Formatter().formatException(record.exc_info)


@pytest.fixture
def lines() -> Iterator[_Lines]:
    handler, logger = _Lines(), logging.getLogger("dispytch")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
@pytest.mark.parametrize(
    "value",
    [
        b'{"number": "%s"}' % SECRET.encode(),
        b'["%s"]' % SECRET.encode(),
        b'"%s"' % SECRET.encode(),
        SECRET.encode(),
        b"\xff" + SECRET.encode(),
    ],
)
async def test_no_value_of_a_body_is_shown(
    url: str, value: bytes, batch: bool, lines: _Lines, caplog: pytest.LogCaptureFixture
) -> None:
    listener = EventListener(url, group="shop")
    listener.add_handler_group(taking_orders(batch))
    await settled(listener, url, Message("orders", value, None, TYPED))
    [letter] = await letters(url)
    own = {name: text for name, text in letter.delivery.headers if name not in dict(TYPED)}
    for shown in (lines.text, caplog.text, letter.error, letter.traceback, str(own)):
        assert SECRET not in str(shown)


async def test_a_validation_error_in_a_handler_shows_none_of_its_values(
    url: str, lines: _Lines, caplog: pytest.LogCaptureFixture
) -> None:
    group = HandlerGroup(default_topic="orders")

    @group.handler(event="placed")
    async def handle(event: Event) -> None:
        try:
            Order.model_validate(event.body)
        except ValidationError as error:
            raise ValueError("the order is refused") from error

    listener = EventListener(url, group="shop")
    listener.add_handler_group(group)
    value = b'{"number": "%s"}' % SECRET.encode()
    await settled(listener, url, Message("orders", value, None, TYPED))
    [letter] = await letters(url)
    assert letter.error == "builtins.ValueError: the order is refused"
    assert "Order: number: Input should be a valid integer" in str(letter.traceback)
    assert "Order: number: Input should be a valid integer" in lines.text
    for shown in (lines.text, caplog.text, letter.traceback):
        assert SECRET not in str(shown)


async def test_names_from_the_wire_are_escaped_and_cut_in_the_log(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    listener = EventListener(url, group="shop")
    listener.add_handler_group(taking_orders(batch=False))
    kind = b"evil\n2026-01-01 ERROR forged\x1b[31m" + b"x" * 900_000
    await settled(listener, url, Message("orders", b"{}", None, (("type", kind),)))
    [line] = [one.getMessage() for one in caplog.records if "no handler takes" in one.getMessage()]
    assert r"evil\n2026-01-01 ERROR forged\x1b[31mxxx" in line
    assert len(line) < 500


@pytest.mark.parametrize("details", [True, False])
async def test_the_text_of_an_error_can_be_kept_out_of_dead_letters(
    url: str, details: bool
) -> None:
    group = HandlerGroup(default_topic="orders")

    @group.handler(event="placed")
    async def handle() -> None:
        raise ValueError(SECRET)

    policy = DeadLetterTopic(details=details)
    listener = EventListener(url, group="shop", dead_letter=policy)
    listener.add_handler_group(group)
    await settled(listener, url, Message("orders", b"{}", None, TYPED))
    [letter] = await letters(url)
    assert letter.error == ("builtins.ValueError: hunter2" if details else "builtins.ValueError")
    assert (letter.traceback is not None) == details
    assert letter.attempts == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dispytch-attempts", b"9" * 400),
        ("dispytch-attempts", b"many"),
        ("dispytch-attempts", b"-1"),
        ("dispytch-failed-at", b"yesterday"),
        ("dispytch-failed-at", b"\xff"),
        ("dispytch-exception-message", b"a\nb\x00" + b"x" * 5000),
        ("dispytch-reason", b"\xff"),
    ],
)
async def test_a_letter_of_a_stranger_is_read(url: str, name: str, value: bytes) -> None:
    backend = backend_from(url)
    async with backend.producer() as producer:
        topic = DeadLetters(backend, topic="orders", group="shop").topic
        await producer.send([Message(topic, b"{}", None, ((name, value),))])
    [letter] = await letters(url)
    assert letter.attempts == 0
    assert letter.failed_at is None
    assert letter.error.isprintable()
    assert len(letter.error) <= 1000
