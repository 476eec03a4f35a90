"""Message classes as protoc generates them, of whatever version of protobuf is installed."""

from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

_KINDS = {
    "int32": Field.TYPE_INT32,
    "int64": Field.TYPE_INT64,
    "double": Field.TYPE_DOUBLE,
    "bool": Field.TYPE_BOOL,
    "string": Field.TYPE_STRING,
    "bytes": Field.TYPE_BYTES,
}
_POOL = descriptor_pool.Default()
_IMPORTED = (duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)


def message(container: Any, name: str, **fields: str) -> Any:
    """Add a message; a field is ``"string"``, ``"repeated .acme.Line"``, ``"enum .a.Color"``."""
    made = container.add(name=name)
    for number, (field, kind) in enumerate(fields.items(), 1):
        label, _, bare = kind.rpartition(" ")
        one = made.field.add(name=field, number=number, label=Field.LABEL_OPTIONAL)
        if label == "repeated":
            one.label = Field.LABEL_REPEATED
        if label == "optional":
            made.oneof_decl.add(name=f"_{field}")
            one.proto3_optional, one.oneof_index = True, len(made.oneof_decl) - 1
        if label == "enum":
            one.type, one.type_name = Field.TYPE_ENUM, bare
        elif bare in _KINDS:
            one.type = _KINDS[bare]
        else:
            one.type, one.type_name = Field.TYPE_MESSAGE, bare
    return made


def entry(made: Any, field: str, key: str, value: str) -> None:
    """Make a repeated field a map."""
    name = "".join(part.title() for part in field.split("_")) + "Entry"
    within = message(made.nested_type, name, key=key, value=value)
    within.options.map_entry = True
    [one] = [one for one in made.field if one.name == field]
    one.type, one.label = Field.TYPE_MESSAGE, Field.LABEL_REPEATED
    one.type_name = f".acme.shop.{made.name}.{name}"


def _money() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="acme/money.proto", package="acme.shop", syntax="proto3"
    )
    message(file.message_type, "Money", amount="string", currency="string")
    return file


def _shop() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="acme/shop.proto", package="acme.shop", syntax="proto3"
    )
    file.dependency.extend(["acme/money.proto", *(module.DESCRIPTOR.name for module in _IMPORTED)])
    colors = file.enum_type.add(name="Color")
    for number, name in enumerate(("COLOR_UNKNOWN", "RED", "DARK_BLUE")):
        colors.value.add(name=name, number=number)
    message(file.message_type, "Ping")
    order = message(
        file.message_type,
        "Order",
        number="int64",
        customer="optional string",
        lines="repeated .acme.shop.Order.Line",
        by_sku="string",
        color="enum .acme.shop.Color",
        total=".acme.shop.Money",
        weight="double",
        placed=".google.protobuf.Timestamp",
        within=".google.protobuf.Duration",
        id="string",
        picture="bytes",
        gift="bool",
        the_note=".google.protobuf.StringValue",
        extra=".google.protobuf.Struct",
        names="string",
        tags="repeated string",
    )
    message(order.nested_type, "Line", sku="string", count="int32")
    entry(order, "by_sku", "string", ".acme.shop.Order.Line")
    entry(order, "names", "int32", "string")
    return file


for _file in (_money(), _shop()):
    _POOL.Add(_file)


def _made(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"acme.shop.{name}"))


Money: Any = _made("Money")
Ping: Any = _made("Ping")
Order: Any = _made("Order")
Line: Any = _made("Order.Line")
