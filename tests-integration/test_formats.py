"""Each format on every backend, read as every kind of body, by handlers of several event types."""

import asyncio
import base64
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from google.type.money_pb2 import Money
from pydantic import BaseModel, Field, TypeAdapter
from typing_extensions import TypedDict

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup
from dispytch.serialization import AvroCodec, Codec, JsonCodec, MessagePackCodec, ProtobufCodec

PATIENCE = 60.0


class Price(BaseModel):
    currency_code: str
    units: int


@dataclass
class PriceRecord:
    currency_code: str
    units: int


class PriceDict(TypedDict):
    currency_code: str
    units: int


class Euros(BaseModel):
    currency_code: Literal["EUR"]
    units: int


class Dollars(BaseModel):
    currency_code: Literal["USD"]
    units: int


AnyPrice = Annotated[Euros | Dollars, Field(discriminator="currency_code")]
PlainPrice = dict[str, str | int]


class TurnedJson(Codec):
    """A format of the user's own: JSON in base 85."""

    content_type = "application/vnd.acme.turned"
    _json = JsonCodec()

    def encode(self, adapter: TypeAdapter[Any], body: Any) -> bytes:
        return base64.b85encode(self._json.encode(adapter, body))

    def decode(self, adapter: TypeAdapter[Any], data: bytes) -> Any:
        return self._json.decode(adapter, base64.b85decode(data))


def events_on(topic: str) -> tuple[type[EventBase], type[EventBase]]:
    """Two event classes of one topic."""

    class PriceSet(EventBase):
        __topic__ = topic
        __event_type__ = "price_set"

        currency_code: str
        units: int

    class PriceGone(EventBase):
        __topic__ = topic
        __event_type__ = "price_gone"

        currency_code: Literal["EUR", "USD"]
        units: int

    return PriceSet, PriceGone


def codec_for(kind: str, *events: type[EventBase]) -> Codec:
    match kind:
        case "msgpack":
            return MessagePackCodec()
        case "avro":
            return AvroCodec(knows=events)
        case "protobuf":
            bodies = (*events, Price, PriceRecord, PriceDict, AnyPrice, PlainPrice)
            return ProtobufCodec({body: Money for body in bodies})
        case "own":
            return TurnedJson()
        case _:
            return JsonCodec()


@pytest.mark.parametrize("kind", ["json", "msgpack", "avro", "protobuf", "own"])
async def test_every_handler_reads_what_was_written_as_the_body_that_it_asks_for(
    kind: str, broker_url: str, unique: str
) -> None:
    price_set, price_gone = events_on(f"prices.{unique}")
    codec = codec_for(kind, price_set, price_gone)
    prices, seen = HandlerGroup(f"prices.{unique}"), list[tuple[str | None, str, Any]]()

    def note(event: Event[Any]) -> None:
        assert event.envelope.content_type == codec.content_type
        seen.append((event.type, event.handler.rpartition(".")[2], event.body))

    @prices.handler(event="price_set")
    async def model(event: Event[Price]) -> None:
        note(event)

    @prices.handler(event="price_set")
    async def record(event: Event[PriceRecord]) -> None:
        note(event)

    @prices.handler(event="price_set")
    async def typed_dict(event: Event[PriceDict]) -> None:
        note(event)

    @prices.handler(event="price_gone")
    async def plain(event: Event[PlainPrice]) -> None:
        note(event)

    @prices.handler()
    async def every_type(event: Event[AnyPrice]) -> None:
        note(event)

    codecs = [codec] if kind == "json" else [JsonCodec(), codec]
    listener = EventListener(broker_url, group=f"accounts.{unique}", codecs=codecs)
    listener.add_handler_group(prices)
    async with listener, EventEmitter(broker_url, codec=codec) as emitter:
        await emitter.emit(price_set(currency_code="EUR", units=3))
        await emitter.emit(price_gone(currency_code="USD", units=2**40))
        async with asyncio.timeout(PATIENCE):
            while listener.outcomes.handled + listener.outcomes.dead_lettered < 6:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    # A dict of no known keys gets every field that the message class has.
    others = {"nanos": 0} if kind == "protobuf" else {}
    assert sorted(seen, key=str) == [
        ("price_gone", "every_type", Dollars(currency_code="USD", units=2**40)),
        ("price_gone", "plain", {"currency_code": "USD", "units": 2**40, **others}),
        ("price_set", "every_type", Euros(currency_code="EUR", units=3)),
        ("price_set", "model", Price(currency_code="EUR", units=3)),
        ("price_set", "record", PriceRecord("EUR", 3)),
        ("price_set", "typed_dict", {"currency_code": "EUR", "units": 3}),
    ]
    assert (listener.outcomes.handled, listener.outcomes.dead_lettered) == (6, 0)
