"""What a user's type checker knows of formats and versions; nothing here runs."""

from typing import Any, assert_type

from events import Order
from pydantic import TypeAdapter

from dispytch import (
    CloudEvents,
    Envelope0x,
    EventEmitter,
    EventListener,
    HandlerGroup,
    Upcast,
    upcast,
)
from dispytch.messages import Delivery
from dispytch.serialization import AvroCodec, Codec, JsonCodec, MessagePackCodec, ProtobufCodec


class Text(Codec):
    content_type = "text/plain"

    def encode(self, adapter: TypeAdapter[Any], body: Any) -> bytes:
        return str(adapter.dump_python(body)).encode()

    def decode(self, adapter: TypeAdapter[Any], data: bytes) -> Any:
        return adapter.validate_strings(data.decode())


def type_of(delivery: Delivery) -> str | None:
    return delivery.topic


codecs: list[Codec] = [JsonCodec(), MessagePackCodec(), AvroCodec(knows=[Order]), ProtobufCodec()]
listener = EventListener(
    "memory://", group="shop", codecs=codecs, wire=CloudEvents(type_of=type_of)
)
emitter = EventEmitter("memory://", codec=MessagePackCodec(), wire=Envelope0x())
EventListener("memory://", group="shop", codecs=["json"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
EventEmitter("memory://", codec=MessagePackCodec)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
EventEmitter("memory://", wire="cloudevents")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@upcast(event="order_placed", from_version=1)
def add_currency(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"currency": "EUR"}


assert_type(add_currency, Upcast)
group = HandlerGroup("orders", upcasts=[add_currency])
HandlerGroup("orders", upcasts=[type_of])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
upcast(event="order_placed")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
