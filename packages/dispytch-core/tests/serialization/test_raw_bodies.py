"""Bodies that are bytes or texts, taken as they are."""

import asyncio
from typing import Annotated, Any, NewType

import pytest
from pydantic import BaseModel, Field, StringConstraints, TypeAdapter

from dispytch import Event, EventListener, HandlerGroup
from dispytch.envelope import Envelope
from dispytch.exceptions import BodyInvalid, DecodeError
from dispytch.memory import MemoryBackend
from dispytch.messages import Message
from dispytch.serialization import Bodies, Codec, Codecs, JsonCodec, MessagePackCodec

Name = NewType("Name", str)
TEXT = "größe 世界\n"


def read(body: Any, content_type: str | None, data: bytes | None, *codecs: Codec) -> Any:
    bodies = Bodies(Codecs(codecs or [JsonCodec()]), body, TypeAdapter(body))
    envelope = Envelope("1", None, None, None, content_type, data)
    first = bodies.decode(envelope)
    assert bodies.decode(envelope) == first
    return first


@pytest.mark.parametrize(
    "body", [bytes, bytes | None, Annotated[bytes, Field(max_length=100)], NewType("Raw", bytes)]
)
@pytest.mark.parametrize(
    "content_type",
    [
        "application/octet-stream",
        "Application/Octet-Stream",
        "application/octet-stream; x=y",
        "text/plain",
        "text/plain; charset=utf-16",
        "text/csv",
    ],
)
@pytest.mark.parametrize("data", [b"", b"\x00\xff", b'"json"', b"null"])
def test_bytes_are_taken_as_they_are(body: Any, content_type: str, data: bytes) -> None:
    assert read(body, content_type, data) == data


@pytest.mark.parametrize("body", [str, str | None, Annotated[str, Field(max_length=100)], Name])
@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/plain", "utf-8"),
        ("TEXT/PLAIN", "utf-8"),
        ("text/plain; charset=utf-8", "utf-8"),
        ('text/plain; charset="UTF-8"', "utf-8"),
        ("text/plain;charset=utf-16", "utf-16"),
        ("text/plain; format=flowed; Charset=GB18030", "gb18030"),
        ("text/csv; charset=utf-8", "utf-8"),
        ("application/octet-stream", "utf-8"),
        ("text/plain; charset=", "utf-8"),
    ],
)
def test_a_text_is_taken_as_it_is(body: Any, content_type: str, charset: str) -> None:
    assert read(body, content_type, TEXT.encode(charset)) == TEXT
    assert read(body, content_type, "null".encode(charset)) == "null"


def test_a_text_of_latin_letters() -> None:
    assert read(str, "text/plain; charset=iso-8859-1", b"gr\xf6\xdfe") == "größe"


def test_empty_is_empty_and_null_is_null() -> None:
    assert read(str | None, "text/plain", b"") == ""
    assert read(bytes | None, "application/octet-stream", b"") == b""
    assert read(str | None, "text/plain", None) is None
    with pytest.raises(BodyInvalid):
        read(bytes, "application/octet-stream", None)


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("text/plain", b"\xff"),
        ("text/plain; charset=us-ascii", b"\xc3\xb6"),
        ("text/plain; charset=klingon", b"a"),
        ("text/plain; charset=" + "x" * 100_000, b"a"),
        ("text/plain; charset=\r\n\t", b"\xff"),
        ("text/plain; charset=base64", b"YQ=="),
        ("application/octet-stream", b"\xff"),
    ],
)
def test_a_text_that_is_none_is_undecodable(content_type: str, data: bytes) -> None:
    with pytest.raises(DecodeError, match="the body is no text of the charset"):
        read(str, content_type, data)


def test_the_body_is_still_validated() -> None:
    with pytest.raises(BodyInvalid):
        read(Annotated[bytes, Field(max_length=2)], "application/octet-stream", b"abc")
    assert read(Annotated[str, StringConstraints(to_upper=True)], "text/plain", b"a") == "A"


class Model(BaseModel):
    a: int


@pytest.mark.parametrize("body", [Model, Any, dict[str, int], int | str, list[bytes], int])
@pytest.mark.parametrize("content_type", ["application/octet-stream", "text/plain"])
def test_bodies_of_other_types_need_a_codec(body: Any, content_type: str) -> None:
    with pytest.raises(DecodeError, match="no codec reads the content type"):
        read(body, content_type, b"5")


@pytest.mark.parametrize("content_type", ["image/png", "application/xml", "x"])
def test_other_content_types_need_a_codec(content_type: str) -> None:
    with pytest.raises(DecodeError, match="no codec reads the content type"):
        read(bytes, content_type, b"5")


def test_what_a_codec_reads_is_read_by_it() -> None:
    assert read(str, "application/json", b'"a"') == "a"
    assert read(str, "text/json", b'"a"') == "a"
    assert read(str, None, b'"a"') == "a"
    assert read(bytes, "application/msgpack", b"\xc4\x01a", JsonCodec(), MessagePackCodec()) == b"a"

    class Texts(JsonCodec):
        reads = ("text/plain",)

    assert read(str, "text/plain", b'"a"', Texts()) == "a"


async def test_handlers_are_given_them() -> None:
    url, seen = "memory://raw", list[Any]()
    group = HandlerGroup("files")

    @group.handler(event="file")
    async def handle(event: Event[bytes]) -> None:
        seen.append(event.body)

    @group.handler(event="note")
    async def note(event: Event[str]) -> None:
        seen.append(event.body)

    listener = EventListener(url, group="shop")
    listener.add_handler_group(group)
    async with MemoryBackend.from_url(url).producer() as producer:
        for kind, content_type, data in [
            (b"file", b"application/octet-stream", b"\x00\xff"),
            (b"note", b"text/plain; charset=iso-8859-1", b"\xf6"),
        ]:
            headers = [("type", kind), ("Content-Type", content_type)]
            await producer.send([Message("files", data, b"k", headers)])
    async with listener:
        while len(seen) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert seen == [b"\x00\xff", "ö"]
