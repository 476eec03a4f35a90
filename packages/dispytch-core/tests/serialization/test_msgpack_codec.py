"""MessagePack."""

import contextlib
import math
import sys
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from dispytch.exceptions import BodyInvalid, ConfigurationError, DecodeError, EncodeError
from dispytch.serialization import Codecs, JsonCodec, MessagePackCodec

CODEC = MessagePackCodec()
ANY = TypeAdapter[Any](Any)


class Picture(BaseModel):
    data: bytes
    size: float


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(plain)
def test_another_implementation_reads_and_writes_the_same(value: Any) -> None:
    assert msgpack.unpackb(CODEC.encode(ANY, value)) == value
    assert CODEC.decode(ANY, msgpack.packb(value)) == value


@given(st.binary())
def test_bytes_stay_bytes(data: bytes) -> None:
    adapter = TypeAdapter(Picture)
    written = CODEC.encode(adapter, Picture(data=data, size=math.inf))
    assert CODEC.decode(adapter, written) == Picture(data=data, size=math.inf)
    assert msgpack.unpackb(written)["data"] == data


@given(st.binary())
def test_bytes_of_any_kind_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(DecodeError, BodyInvalid):
        assert isinstance(CODEC.decode(TypeAdapter(Picture), data), Picture)


def test_no_bytes_are_null() -> None:
    assert CODEC.decode(TypeAdapter(int | None), b"") is None


def test_a_body_that_is_refused_says_where_and_not_what() -> None:
    with pytest.raises(BodyInvalid) as caught:
        CODEC.decode(TypeAdapter(Picture), msgpack.packb({"data": "x", "size": "secret"}))
    assert "size: Input should be a valid number" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, object()])
def test_what_cannot_be_written_is_told(value: Any) -> None:
    with pytest.raises(EncodeError, match="cannot be written as MessagePack"):
        CODEC.encode(ANY, value)


@pytest.mark.parametrize(
    "content_type",
    ["application/msgpack", "application/x-msgpack", "application/vnd.acme.order+msgpack"],
)
def test_it_is_found_by_content_type(content_type: str) -> None:
    assert Codecs([JsonCodec(), CODEC]).reading(content_type) is CODEC


def test_a_missing_distribution_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ormsgpack", None)
    with pytest.raises(ConfigurationError) as caught:
        MessagePackCodec()
    assert str(caught.value) == (
        "MessagePackCodec cannot import ormsgpack: pip install 'dispytch-core[msgpack]'"
    )
