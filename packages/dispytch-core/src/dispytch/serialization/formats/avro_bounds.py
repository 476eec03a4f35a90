"""A look at the bytes of an Avro body before they are read, where a few could stand for too much.

An array of values that take no bytes may have 2^63 of them; values of a type that holds itself may
lie within each other until the reader's stack ends, and the process with it; making a decimal of a
megabyte takes minutes. A schema that has none of these is read without this look.

Source: https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from dispytch.exceptions import DecodeError
from dispytch.serialization.limits import Limits

Check = Callable[[bytes], None]

DECIMAL_BYTES_MAX: Final = 1024
"""The longest decimal: 2,466 digits."""

_LONGEST_NUMBER: Final = 10
_SIZES: Final[Mapping[str, int]] = {"null": 0, "boolean": 1, "float": 4, "double": 8}
_NAMED: Final = ("record", "error", "enum", "fixed")
_FREE_FIELDS_MAX: Final = 16
"""Fields without bytes that a record may have without being looked at each time."""


def check_of(schema: Any, limits: Limits) -> Check | None:
    """What raises `DecodeError` for a body that goes beyond the limits; None if none can.

    schema: as fastavro has parsed it.

    Raises:
        ValueError: no value of the schema has an end.
    """
    compiler = _Compiler(schema)
    skip = compiler.skip(schema)
    if compiler.risky:
        return lambda data: _Scan(data, limits).run(skip)
    if compiler.has_decimals:
        # Short ones cost nothing.
        return lambda data: _Scan(data, limits).run(skip) if len(data) > DECIMAL_BYTES_MAX else None
    return None


class _Scan:
    """One body on its way through: what is left of the limits."""

    __slots__ = ("data", "depth", "end", "limits", "values")

    def __init__(self, data: bytes, limits: Limits) -> None:
        self.data = data
        self.end = len(data)
        self.limits = limits
        self.depth = 0
        self.values = 0

    def run(self, skip: "_Skip") -> None:
        skip(self, 0)

    def number(self, at: int) -> tuple[int, int]:
        """The number that begins here, and where it ends."""
        zigzag = shift = 0
        for byte in self.data[at : at + _LONGEST_NUMBER]:
            at += 1
            zigzag |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (zigzag >> 1) ^ -(zigzag & 1), at
            shift += 7
        raise _malformed("a number has no end")

    def length(self, at: int) -> tuple[int, int]:
        size, at = self.number(at)
        if size < 0:
            raise _malformed(f"a length is {size}")
        return size, at

    def enter(self) -> None:
        self.depth += 1
        if self.depth > self.limits.depth:
            raise DecodeError(
                f"the Avro body has more than {self.limits.depth} values within each other; "
                "AvroCodec(limits=Limits(depth=...)) allows more"
            )

    def spend(self, count: int) -> None:
        self.values += count
        if self.values > self.limits.values:
            raise DecodeError(
                f"the Avro body has {self.values} items that take no bytes, and at most "
                f"{self.limits.values} are read; AvroCodec(limits=Limits(values=...)) allows more"
            )


_Skip = Callable[[_Scan, int], int]
"""Passes over one value: from where it begins to where it ends."""


class _Compiler:
    """Makes of a schema what passes over its values.

    risky: a few bytes may stand for many values, or for values within each other without end.
    """

    def __init__(self, schema: Any) -> None:
        self.risky = False
        self.has_decimals = False
        self._named: dict[str, _Named] = {}
        self._collect(schema)

    def _collect(self, schema: Any) -> None:
        """Find the named types, each with what it is."""
        if isinstance(schema, list):
            for one in cast(Any, schema):
                self._collect(one)
        elif isinstance(schema, dict):
            kind, attributes = _kind_of(cast(Any, schema))
            if kind in _NAMED:
                self._named[attributes["name"]] = _Named(attributes)
            held = [attributes[name] for name in ("type", "items", "values") if name in attributes]
            for one in [*held, *(field["type"] for field in attributes.get("fields", ()))]:
                self._collect(one)

    def skip(self, schema: Any) -> _Skip:
        """What passes over a value of this schema."""
        if isinstance(schema, list):
            return _union([self.skip(one) for one in cast(Any, schema)])
        kind, attributes = _kind_of(schema)
        if isinstance(kind, dict | list):
            return self.skip(kind)
        if kind in self._named:
            return self._reference(self._named[kind])
        return self._of_kind(kind, attributes)

    def _of_kind(self, kind: str, attributes: Mapping[str, Any]) -> _Skip:
        decimal = attributes.get("logicalType") == "decimal"
        self.has_decimals |= decimal
        match kind:
            case "null" | "boolean" | "float" | "double":
                return _fixed(_SIZES[kind], decimal=False)
            case "bytes" | "string":
                return _decimal if decimal else _text
            case "record" | "error":
                return self._record(attributes)
            case "array":
                return self._array(attributes["items"])
            case "map":
                return _blocks(_pair(self.skip(attributes["values"])))
            case "fixed":
                return self._name(attributes, _fixed(int(attributes["size"]), decimal=decimal))
            case "enum":
                return self._name(attributes, _number)
            case _:
                return _number

    def _name(self, attributes: Mapping[str, Any], skip: _Skip) -> _Skip:
        self._named[attributes["name"]].skip = skip
        return skip

    def _array(self, items: Any) -> _Skip:
        item = self.skip(items)
        if not self._is_empty(items):
            return _blocks(item)
        self.risky = True
        return _empty_blocks(item)

    def _record(self, attributes: Mapping[str, Any]) -> _Skip:
        named = self._named[attributes["name"]]
        types = [field["type"] for field in attributes["fields"]]
        parts = [self.skip(one) for one in types]
        free = sum(map(self._is_empty, types))
        self.risky |= free > _FREE_FIELDS_MAX
        named.skip = _record(parts, free)
        return named.skip

    def _reference(self, named: "_Named") -> _Skip:
        if named.skip is None:
            self.risky = True  # It holds itself.
            return named.pass_over
        # Each of many records without bytes may hold two of the next.
        self.risky |= named.is_record and self._is_empty(named.attributes)
        return named.skip

    def _is_empty(self, schema: Any) -> bool:
        """Whether all values of a schema take no bytes."""
        if isinstance(schema, list):
            return False
        kind, attributes = _kind_of(schema)
        if isinstance(kind, dict | list):
            return self._is_empty(kind)
        named = self._named.get(attributes["name"] if kind in _NAMED else kind)
        return kind == "null" if named is None else self._is_named_empty(named)

    def _is_named_empty(self, named: "_Named") -> bool:
        if named.is_empty is not None:
            return named.is_empty
        if named.asked:
            raise ValueError(f"a value of {named.attributes['name']!r} has no end")
        named.asked = True
        # Each of them is asked about, as each may have no end.
        fields = [self._is_empty(field["type"]) for field in named.attributes.get("fields", ())]
        empty = all(fields) if named.is_record else named.attributes.get("size") == 0
        named.is_empty = empty
        return empty


class _Named:
    """A named type; ``skip`` is None as long as it is being compiled."""

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self.attributes = attributes
        self.skip: _Skip | None = None
        self.is_record = attributes["type"] in ("record", "error")
        self.is_empty: bool | None = None
        self.asked = False

    def pass_over(self, scan: _Scan, at: int) -> int:
        assert self.skip is not None
        return self.skip(scan, at)


def _kind_of(schema: Any) -> tuple[Any, Mapping[str, Any]]:
    if isinstance(schema, dict):
        attributes = cast("dict[str, Any]", schema)
        return attributes["type"], attributes
    return schema, {}


def _malformed(why: str) -> DecodeError:
    return DecodeError(f"the bytes are not Avro of that schema: {why}")


def _number(scan: _Scan, at: int) -> int:
    return scan.number(at)[1]


def _text(scan: _Scan, at: int) -> int:
    size, at = scan.length(at)
    return at + size


def _decimal(scan: _Scan, at: int) -> int:
    size, at = scan.length(at)
    _check_decimal(size)
    return at + size


def _check_decimal(size: int) -> None:
    if size > DECIMAL_BYTES_MAX:
        raise DecodeError(
            f"the Avro body has a decimal of {size} bytes, and at most {DECIMAL_BYTES_MAX} are read"
        )


def _fixed(size: int, *, decimal: bool) -> _Skip:
    def skip(scan: _Scan, at: int) -> int:
        if decimal:
            _check_decimal(size)
        return at + size

    return skip


def _record(parts: Sequence[_Skip], free: int) -> _Skip:
    def skip(scan: _Scan, at: int) -> int:
        scan.enter()
        if free:
            scan.spend(free)
        for part in parts:
            at = part(scan, at)
        scan.depth -= 1
        return at

    return skip


def _union(branches: Sequence[_Skip]) -> _Skip:
    def skip(scan: _Scan, at: int) -> int:
        index, at = scan.number(at)
        if not 0 <= index < len(branches):
            raise _malformed(f"a union of {len(branches)} has no branch {index}")
        return branches[index](scan, at)

    return skip


def _pair(value: _Skip) -> _Skip:
    return lambda scan, at: value(scan, _text(scan, at))


def _blocks(item: _Skip) -> _Skip:
    """An array or a map, whose items all take bytes."""

    def skip(scan: _Scan, at: int) -> int:
        scan.enter()
        count, at = _block(scan, at)
        while count:
            for _ in range(count):
                at = item(scan, at)
                if at > scan.end:
                    raise _malformed("they end too early")
            count, at = _block(scan, at)
        scan.depth -= 1
        return at

    return skip


def _empty_blocks(item: _Skip) -> _Skip:
    """An array whose items take no bytes."""

    def skip(scan: _Scan, at: int) -> int:
        scan.enter()
        count, at = _block(scan, at)
        while count:
            before = scan.values
            item(scan, at)
            each = 1 + scan.values - before
            scan.spend(each * count)
            count, at = _block(scan, at)
        scan.depth -= 1
        return at

    return skip


def _block(scan: _Scan, at: int) -> tuple[int, int]:
    """How many items a block has, and where they begin."""
    count, at = scan.number(at)
    if count < 0:
        # Then its length in bytes follows.
        return -count, scan.number(at)[1]
    return count, at
