"""Avro schemas, derived from types.

Source: https://avro.apache.org/docs/1.12.0/specification/
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar, cast

from pydantic import PydanticUserError, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from dispytch.exceptions import ConfigurationError

AvroSchema = str | dict[str, Any] | list[Any]

T = TypeVar("T")

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MADE: Final = "dispytch-made"
_PLAIN: Final = {"integer": "long", "number": "double", "boolean": "boolean", "null": "null"}
_LOGICAL: Final[Mapping[str, tuple[str, str]]] = {
    "date-time": ("long", "timestamp-micros"),
    "local-date-time": ("long", "local-timestamp-micros"),
    "date": ("int", "date"),
    "time": ("long", "time-micros"),
    "uuid": ("string", "uuid"),
}
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "long": (int,),
    "double": (float, int),
    "string": (str,),
    "enum": (str,),
    "array": (list,),
    "map": (dict,),
}
"""What a default may be, as JSON, by the Avro type that it is for."""


def derived(body: Any, adapter: TypeAdapter[Any], namespace: str | None) -> AvroSchema:
    """The Avro schema of a type of bodies.

    A model, a dataclass and a TypedDict are records, under the aliases of their fields. An `Enum`
    of names is an enum; datetimes, dates, times, UUIDs, and Decimals with ``max_digits`` and
    ``decimal_places``, have their logical types; a timedelta, and any other Decimal, is a string.

    Raises:
        ConfigurationError: Avro has nothing for it; the text says where and what can be done.
    """
    try:
        document = adapter.json_schema(
            mode="serialization", ref_template="{model}", schema_generator=_Generator
        )
    except PydanticUserError as error:
        raise _underivable(body, str(error)) from error
    derivation = _Derivation(body, document.get("$defs", {}), namespace)
    return derivation.of(document, str(document.get("title", "Body")))


class _Generator(GenerateJsonSchema):
    """JSON Schema, with what Avro tells apart and JSON does not."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        naive = schema.get("tz_constraint") == "naive"
        return {"type": "string", "format": "local-date-time" if naive else "date-time"}

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        sizes = {"precision": schema.get("max_digits"), "scale": schema.get("decimal_places")}
        return {"type": "string", "format": "decimal", **sizes}

    def bytes_schema(self, schema: core_schema.BytesSchema) -> JsonSchemaValue:
        return {"type": "string", "format": "binary"}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found = super().default_schema(schema)
        factory: Any = schema.get("default_factory")
        if factory is None or "default" in found:
            return found
        empties: dict[Any, Any] = {list: [], set: [], dict: {}}
        empty = empties.get(getattr(factory, "__origin__", factory))
        return {**found, _MADE: True} if empty is None else {**found, "default": empty}


class _Derivation:
    """One type of bodies on its way to a schema."""

    def __init__(self, body: Any, definitions: Mapping[str, Any], namespace: str | None) -> None:
        self._body = body
        self._definitions = definitions
        self._namespace = namespace
        self._named: set[str] = set()
        self._path: list[str] = []

    def of(self, node: Mapping[str, Any], name: str) -> AvroSchema:
        """The schema of a node; ``name`` is for it if it needs one and has none of its own."""
        if "$ref" in node:
            return self._referred(node["$ref"])
        if "anyOf" in node or "oneOf" in node:
            return self._union(self.of(one, name) for one in node.get("anyOf") or node["oneOf"])
        if len(node.get("allOf", ())) == 1:
            return self.of(node["allOf"][0], name)
        if "const" in node or "enum" in node:
            return self._values(node, name)
        match node.get("type"):
            case "string":
                return _text(node)
            case "array":
                return {"type": "array", "items": self._items(node, name)}
            case "object":
                return self._object(node, name)
            case kind if kind in _PLAIN:
                return _PLAIN[kind]
            case _:
                raise self._refused("is of any type, and Avro needs one")

    def _referred(self, reference: str) -> AvroSchema:
        name = self._full(reference)
        return name if name in self._named else self.of(self._definitions[reference], reference)

    def _union(self, branches: Iterable[AvroSchema]) -> AvroSchema:
        flat: list[Any] = []
        for branch in branches:
            for one in branch if isinstance(branch, list) else [branch]:
                if one not in flat:
                    flat.append(one)
        texts = [one for one in flat if one == "string" or _is_constant(one)]
        if len(texts) > 1:
            flat = ["string" if one is texts[0] else one for one in flat if one not in texts[1:]]
        kinds = [kind_of(one) for one in flat]
        for kind in kinds:
            # Named types are told apart by their names, which a name that stands alone is as well.
            if kinds.count(kind) > 1 and kind in (*_KINDS, "int", "bytes") and kind != "enum":
                raise self._refused(f"is a union with two kinds of {kind}, which Avro refuses")
        return flat[0] if len(flat) == 1 else flat

    def _values(self, node: Mapping[str, Any], name: str) -> AvroSchema:
        values = [node["const"]] if "const" in node else list(node["enum"])
        if "enum" in node and node.get("title") and all(map(_is_name, values)):
            return self._enter(name, {"type": "enum", "symbols": values})
        kinds = {_plain_kind(value) for value in values}
        if None in kinds:
            raise self._refused(f"has the value {values[0]!r}, which Avro cannot hold")
        if kinds == {"string"} and len(values) == 1:
            # Not for Avro, which leaves it aside: it tells the members of a union apart.
            return {"type": "string", "const": values[0]}
        return self._union(sorted(kind for kind in kinds if kind))

    def _items(self, node: Mapping[str, Any], name: str) -> AvroSchema:
        each = node.get("prefixItems")
        if each is not None:
            return self._union(self._within("[]", self.of, one, name) for one in each)
        return self._within("[]", self.of, node.get("items", {}), name)

    def _object(self, node: Mapping[str, Any], name: str) -> AvroSchema:
        if "properties" in node or node.get("additionalProperties") is False:
            return self._record(node, name)
        values = node.get("additionalProperties")
        if isinstance(values, dict):
            return {"type": "map", "values": self._within("{}", self.of, values, name)}
        if values is None and "title" in node:
            return self._record(node, name)
        raise self._refused("is a mapping to anything, and Avro needs one type")

    def _record(self, node: Mapping[str, Any], name: str) -> AvroSchema:
        record: dict[str, Any] = {"type": "record"}
        if "description" in node:
            record["doc"] = node["description"]
        record = self._enter(name, record)
        required = node.get("required", ())
        record["fields"] = [
            self._within(field, self._field, field, one, field in required)
            for field, one in node.get("properties", {}).items()
        ]
        return record

    def _field(self, name: str, node: Mapping[str, Any], required: bool) -> dict[str, Any]:
        if not _is_name(name):
            raise self._refused("has a name that Avro cannot have: letters, digits and _ only")
        if not required and "default" not in node and _MADE not in node:
            raise self._refused("may be left away, which Avro has no way for: let it be None")
        schema = self.of(node, name)
        field: dict[str, Any] = {"name": name, "type": schema}
        if "description" in node:
            field["doc"] = node["description"]
        return _with_default(field, node["default"]) if "default" in node else field

    def _enter(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        """A named type, known from here on."""
        full = self._full(name)
        if full in self._named:
            raise self._refused(f"needs the name {full!r} a second time")
        self._named.add(full)
        return {**schema, "name": full}

    def _full(self, name: str) -> str:
        bare = re.sub(r"\W", "_", name)
        return f"{self._namespace}.{bare}" if self._namespace else bare

    def _within(self, step: str, derive: Callable[..., T], *arguments: Any) -> T:
        self._path.append(step)
        try:
            return derive(*arguments)
        finally:
            self._path.pop()

    def _refused(self, why: str) -> ConfigurationError:
        where = ".".join(self._path).replace(".[]", "[]").replace(".{}", "{}")
        return _underivable(self._body, f"{where or 'it'} {why}")


_PLAIN_OF: Final[Mapping[Any, str]] = {str: "string", int: "long", float: "double", bool: "boolean"}


def kind_of(schema: AvroSchema) -> str:
    """The Avro type of a schema; the name of a type that is defined elsewhere."""
    if isinstance(schema, list):
        return "union"
    kind: Any = schema if isinstance(schema, str) else schema["type"]
    return kind if isinstance(kind, str) else kind_of(kind)


def _text(node: Mapping[str, Any]) -> AvroSchema:
    kind = str(node.get("format"))
    if kind == "binary":
        return "bytes"
    if kind == "decimal":
        precision, scale = node.get("precision"), node.get("scale")
        if precision is None or scale is None:
            return "string"
        sizes = {"precision": precision, "scale": scale}
        return {"type": "bytes", "logicalType": "decimal", **sizes}
    if kind in _LOGICAL:
        base, logical = _LOGICAL[kind]
        return {"type": base, "logicalType": logical}
    return "string"


def _with_default(field: dict[str, Any], default: Any) -> dict[str, Any]:
    """The field with its default, if Avro can say it: the first branch of a union is its type."""
    schema = field["type"]
    branches = _branches(schema)
    for branch in branches:
        if _takes(branch, default):
            others = [one for one in branches if one is not branch]
            return {**field, "type": [branch, *others] if others else schema, "default": default}
    return field


def _branches(schema: Any) -> list[Any]:
    return [*schema] if isinstance(schema, list) else [schema]


def _plain_kind(value: object) -> str | None:
    return _PLAIN_OF.get(type(value))


def _takes(schema: Any, default: Any) -> bool:
    if isinstance(schema, dict) and "logicalType" in schema:
        return False
    kind = kind_of(cast(AvroSchema, schema))
    if kind == "enum":
        return default in schema["symbols"]
    if kind in ("array", "map") and default:
        return False
    fits = isinstance(default, _KINDS.get(kind, ()))
    return fits and (isinstance(default, bool) == (kind == "boolean"))


def _is_constant(schema: Any) -> bool:
    return isinstance(schema, dict) and "const" in schema


def _is_name(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _underivable(body: Any, why: str) -> ConfigurationError:
    name = getattr(body, "__qualname__", None) or repr(body)
    return ConfigurationError(
        f"no Avro schema can be derived from {name}: {why}. Change it, or give one of your own, "
        f"as in AvroCodec({{{name}: ...}})"
    )
