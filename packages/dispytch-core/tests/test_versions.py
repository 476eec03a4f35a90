"""Versions of events, from the emitter to the handler."""

import asyncio
import json
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, ConfigDict

from dispytch import (
    CloudEvents,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    upcast,
)
from dispytch.exceptions import ConfigurationError, DecodeError, InvalidEvent, InvalidHandler
from dispytch.memory import MemoryBackend
from dispytch.messages import Delivery, Lease, Message
from dispytch.serialization import Codec, JsonCodec, MessagePackCodec


class First(EventBase):
    __topic__ = "users"
    __event_type__ = "registered"

    name: str


class Second(First):
    __version__ = 2

    mail: str = "?"


class Third(EventBase):
    """Strict, to see that dates in changed JSON are still read as JSON's."""

    model_config = ConfigDict(strict=True)

    __topic__ = "users"
    __event_type__ = "registered"
    __version__ = 3

    full_name: str
    mail: str
    born: date | None = None


@upcast(event="registered", from_version=1)
def add_mail(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"mail": "unknown"}


@upcast(event="registered", from_version=2)
def rename(data: dict[str, Any]) -> dict[str, Any]:
    return {"full_name": data.pop("name"), **data, "born": "1815-12-10"}


@pytest.fixture
def url() -> str:
    return f"memory://{uuid4().hex}"


async def handled(url: str, group: HandlerGroup, count: int, **options: Any) -> EventListener:
    """Listen until so many runs of handlers are decided about."""
    listener = EventListener(url, group="shop", **options)
    listener.add_handler_group(group)
    async with listener, asyncio.timeout(5):
        while listener.outcomes.handled + listener.outcomes.dead_lettered < count:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return listener


@pytest.mark.parametrize(
    "codec", [JsonCodec(), MessagePackCodec()], ids=lambda one: one.content_type
)
async def test_a_handler_sees_the_newest_body_alone(url: str, codec: Codec) -> None:
    seen: list[tuple[int, Any]] = []
    users = HandlerGroup("users", upcasts=[rename, add_mail])

    @users.handler(event="registered")
    async def one(event: Event[Third]) -> None:
        seen.append((event.version, event.body))

    @users.handler()
    async def every(event: Event) -> None:
        seen.append((event.version, event.body))

    if isinstance(codec, MessagePackCodec):
        # MessagePack has no dates: they are text, which a strict model refuses.
        loose = type("Loose", (Third,), {"model_config": ConfigDict(strict=False)})
        one.__annotations__["event"] = Event[loose]
    async with EventEmitter(url, codec=codec) as emitter:
        await emitter.emit(First(name="Ada"))
        await emitter.emit(Second(name="Ada", mail="a@b"))
        await emitter.emit(Third(full_name="Ada", mail="a@b", born=date(1815, 12, 10)))
    await handled(url, users, 6, codecs=[JsonCodec(), MessagePackCodec()])
    expected = [
        {"full_name": "Ada", "mail": mail, "born": date(1815, 12, 10)}
        for mail in ("unknown", "a@b", "a@b")
    ]
    typed = [(version, body.model_dump()) for version, body in seen if not isinstance(body, dict)]
    assert typed == list(zip((1, 2, 3), expected, strict=True))
    plain = [
        body | {"born": date.fromisoformat(body["born"])}
        for _, body in seen
        if isinstance(body, dict)
    ]
    assert plain == expected


async def test_without_upcasts_nobody_looks_at_versions(url: str) -> None:
    seen: list[tuple[int, str]] = []
    users = HandlerGroup("users")

    @users.handler(event="registered")
    async def one(event: Event[First]) -> None:
        seen.append((event.version, event.body.name))

    async with EventEmitter(url) as emitter:
        await emitter.emit_many([First(name="a"), Second(name="b")])
    await handled(url, users, 2)
    assert seen == [(1, "a"), (2, "b")]


class Fourth(Third):
    __version__ = 4


class Nameless(EventBase):
    __topic__ = "users"
    __event_type__ = "registered"


@pytest.mark.parametrize(
    "event",
    [Fourth(full_name="Ada", mail="?"), Nameless()],
    ids=["newer than known", "an upcast that fails"],
)
async def test_what_cannot_be_brought_up_is_a_dead_letter(url: str, event: EventBase) -> None:
    users = HandlerGroup("users", upcasts=[add_mail, rename])

    @users.handler(event="registered", retries=3)
    async def one(event: Event[Third]) -> None:
        raise AssertionError("never reached")

    async with EventEmitter(url) as emitter:
        await emitter.emit(event)
    listener = await handled(url, users, 1)
    assert (listener.outcomes.dead_lettered, listener.outcomes.retried) == (1, 0)


async def test_an_event_without_a_version_has_no_attribute_for_it(url: str) -> None:
    def names(event: EventBase) -> set[str]:
        emitter = EventEmitter(url)
        return {name for name, _ in emitter._writer.message(event).headers}

    assert names(Second(name="a")) - names(First(name="a")) == {"ce_dataversion"}


@pytest.mark.parametrize("version", [0, -1, True, "2", 1.0])
def test_a_version_that_is_none_is_refused_at_the_first_emit(url: str, version: Any) -> None:
    model = type("Odd", (First,), {"__version__": version})
    with pytest.raises(InvalidEvent, match=r"the __version__ of .*Odd must be a whole number"):
        EventEmitter(url)._writer.message(model(name="a"))


class Registered(BaseModel):
    name: str


@pytest.mark.parametrize(
    ("body", "upcasts", "text"),
    [
        (Third, [add_mail], "whose __version__ is 3, but the upcasts .* lead to version 2"),
        (
            Registered,
            [add_mail, upcast(event="registered", from_version=1)(dict)],
            "two upcasts lead from version 1",
        ),
        (
            Registered,
            [add_mail, upcast(event="registered", from_version=3)(dict)],
            "no upcast leads from version 2 of 'registered' to 3",
        ),
    ],
)
async def test_chains_that_cannot_work_fail_at_start(
    url: str, body: Any, upcasts: list[Any], text: str
) -> None:
    users = HandlerGroup("users", upcasts=upcasts)

    @users.handler(event="registered")
    async def one(event: Event[body]) -> None: ...

    with pytest.raises(InvalidHandler, match=text) as caught:
        await handled(url, users, 0)
    assert ".one" in str(caught.value)


async def test_groups_share_upcasts_with_those_within(url: str) -> None:
    seen: list[str] = []
    inner, outer = HandlerGroup("users", upcasts=[rename]), HandlerGroup(upcasts=[add_mail, rename])

    @inner.handler(event="registered")
    async def one(event: Event[Third]) -> None:
        seen.append(event.body.mail)

    outer.add_handler_group(inner)
    async with EventEmitter(url) as emitter:
        await emitter.emit(First(name="Ada"))
    await handled(url, outer, 1)
    assert seen == ["unknown"]


def test_only_upcasts_are_taken_for_upcasts() -> None:
    with pytest.raises(ConfigurationError, match="upcasts takes what @upcast"):
        HandlerGroup(upcasts=[dict])  # type: ignore[list-item]


@pytest.mark.parametrize("version", [b"0", b"-1", b"two", b"1.5", b""])
async def test_a_version_on_the_wire_that_is_none(url: str, version: bytes) -> None:
    users = HandlerGroup("users")

    @users.handler()
    async def one(event: Event) -> None: ...

    headers = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_type", b"t"), ("ce_source", b"s")]
    async with MemoryBackend.from_url(url).producer() as producer:
        await producer.send([Message("users", b"1", None, [*headers, ("ce_dataversion", version)])])
    listener = EventListener(url, group="shop", dead_letter="drop")
    listener.add_handler_group(users)
    async with listener, asyncio.timeout(5):
        while not listener.outcomes.dropped:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        assert "dataversion must be a number from 1" in str((await listener.health()).last_error)


def structured(version: Any) -> int | None:
    event = {"specversion": "1.0", "id": "1", "type": "t", "source": "s", "dataversion": version}
    lease = Lease("users", "users[0]")
    headers = [("content-type", b"application/cloudevents+json")]
    delivery = Delivery("users", json.dumps(event).encode(), None, headers, lease=lease, position=1)
    return CloudEvents().reader(("ce_",))(delivery).version


def test_structured_mode_has_a_version_as_number_or_text() -> None:
    assert (structured(3), structured("3"), structured(None)) == (3, 3, None)


@pytest.mark.parametrize("version", [0, 1.5, True, [], "x"])
def test_a_structured_version_that_is_none(version: Any) -> None:
    with pytest.raises(DecodeError, match="dataversion must be a number from 1"):
        structured(version)
