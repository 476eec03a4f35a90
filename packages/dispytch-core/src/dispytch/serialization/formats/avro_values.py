"""Values as pydantic dumps them, made into those that an Avro schema takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Final, cast

import pydantic_core

from dispytch.serialization.formats.avro_schema import AvroSchema, kind_of

Prepare = Callable[[Any], Any]

_NOT_TEXT: Final = (bool, int, float, bytes, dict, list, tuple, set, frozenset, type(None))
_TIMES: Final = (datetime, date, time)
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "int": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "bytes": (bytes, bytearray),
    "fixed": (bytes, bytearray),
    "map": (dict,),
    "array": (list, tuple, set, frozenset),
}


@dataclass(slots=True)
class Shape:
    """What a schema asks of a value.

    ``prepare`` is None where every value that comes from pydantic is right as it is. ``accepts``
    decides between the branches of a union; ``name`` is what fastavro calls the branch.
    """

    accepts: Callable[[Any], bool] = field(default=lambda value: True)
    prepare: Prepare | None = None
    name: str | None = None


def shape_of(schema: AvroSchema, known: dict[str, Shape] | None = None) -> Shape:
    """Compile a schema, once; ``known`` holds the named types that surround it."""
    known = {} if known is None else known
    if isinstance(schema, list):
        return _union([shape_of(one, known) for one in schema])
    if isinstance(schema, dict) and isinstance(schema["type"], dict | list):
        return shape_of(cast(AvroSchema, schema["type"]), known)
    kind = kind_of(schema)
    if kind in known:
        return known[kind]
    attributes: dict[str, Any] = schema if isinstance(schema, dict) else {}
    logical = attributes.get("logicalType")
    if logical is not None and kind in ("int", "long", "bytes", "fixed", "string"):
        return _logical(kind, logical)
    match kind:
        case "record" | "error":
            return _record(attributes, known)
        case "enum":
            return _enum(attributes, known)
        case "array":
            return _array(shape_of(attributes["items"], known))
        case "map":
            return _map(shape_of(attributes["values"], known))
        case "string":
            return _string(attributes.get("const"))
        case _:
            return _scalar(kind)


def _scalar(kind: str) -> Shape:
    types = _TYPES[kind]

    def accepts(value: Any) -> bool:
        return isinstance(value, types) and isinstance(value, bool) == (kind == "boolean")

    return Shape(accepts)


def _string(const: str | None) -> Shape:
    def accepts(value: Any) -> bool:
        return _value(value) == const if const is not None else not isinstance(value, _NOT_TEXT)

    return Shape(accepts, _text)


def _logical(kind: str, logical: str) -> Shape:
    match logical:
        case "timestamp-millis" | "timestamp-micros":
            return Shape(lambda value: isinstance(value, datetime), _instant)
        case "local-timestamp-millis" | "local-timestamp-micros":
            return Shape(lambda value: isinstance(value, datetime))
        case "date":
            return Shape(lambda value: type(value) is date)
        case "time-millis" | "time-micros":
            return Shape(lambda value: isinstance(value, time), _time_of_day)
        case "decimal":
            return Shape(lambda value: isinstance(value, Decimal))
        case _:
            return _string(None) if kind == "string" else _scalar(kind)


def _enum(schema: Mapping[str, Any], known: dict[str, Shape]) -> Shape:
    symbols = frozenset(schema["symbols"])
    known[schema["name"]] = shape = Shape(
        lambda value: _value(value) in symbols, _value, schema["name"]
    )
    return shape


def _array(items: Shape) -> Shape:
    def prepare(values: Any) -> list[Any]:
        # Not a tuple: fastavro takes one in a union for the name of a branch and its value.
        return list(values) if items.prepare is None else list(map(items.prepare, values))

    return Shape(lambda value: isinstance(value, _TYPES["array"]), prepare)


def _map(values: Shape) -> Shape:
    def prepare(mapping: Mapping[Any, Any]) -> dict[str, Any]:
        made = values.prepare
        return {str(_text(_value(key))): made(one) if made else one for key, one in mapping.items()}

    return Shape(lambda value: isinstance(value, dict), prepare)


def _record(schema: Mapping[str, Any], known: dict[str, Shape]) -> Shape:
    known[schema["name"]] = shape = Shape(name=schema["name"])
    fields = {one["name"]: shape_of(one["type"], known) for one in schema["fields"]}
    needed = {one["name"] for one in schema["fields"] if "default" not in one}

    def accepts(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        held = cast("dict[str, Any]", value)
        fits = needed <= held.keys() <= fields.keys()
        return fits and all(fields[name].accepts(one) for name, one in held.items())

    def prepare(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        prepared = dict(cast("dict[str, Any]", value))
        for name, one in fields.items():
            if one.prepare is not None and name in prepared:
                prepared[name] = one.prepare(prepared[name])
        return prepared

    shape.accepts, shape.prepare = accepts, prepare
    return shape


def _union(branches: list[Shape]) -> Shape:
    # A string takes whatever else has no branch of its own.
    ordered = sorted(branches, key=lambda one: one.prepare is _text)

    def prepare(value: Any) -> Any:
        if value is None:
            return None
        for one in ordered:
            if one.accepts(value):
                prepared = value if one.prepare is None else one.prepare(value)
                return prepared if one.name is None else (one.name, prepared)
        return value

    return Shape(lambda value: any(one.accepts(value) for one in branches), prepare)


def _value(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _text(value: Any) -> Any:
    return value if type(value) is str else pydantic_core.to_jsonable_python(value)


def _instant(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError(f"the time {value.isoformat()} has no zone, so it is no point in time")
    return value


def _time_of_day(value: Any) -> Any:
    if isinstance(value, time) and value.tzinfo is not None:
        raise ValueError(f"the time {value.isoformat()} has a zone, for which Avro has no place")
    return value
