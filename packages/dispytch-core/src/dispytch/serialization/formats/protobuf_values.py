"""Protobuf messages to plain values and back, by their descriptors.

Source: https://protobuf.dev/reference/protobuf/google.protobuf/ for the well-known types.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

import pydantic_core

from dispytch.exceptions import DecodeError
from dispytch.serialization.limits import Limits

_WRAPPED: Final = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)
_JSON: Final = frozenset(f"google.protobuf.{name}" for name in ("Struct", "Value", "ListValue"))


class Room:
    """What one body may still hold that its bytes do not show."""

    __slots__ = ("_left", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = limits.values

    def spend(self, values: int) -> None:
        """Have so many values more.

        Raises:
            DecodeError: they are too many.
        """
        self._left -= values
        if self._left < 0:
            raise DecodeError(
                f"the Protobuf body leaves more than {self._limits.values} fields at their "
                "defaults; ProtobufCodec(limits=Limits(values=...)) allows more"
            )


class Fields:
    """The fields of a message class, by the names that a body may have for them.

    json_format: the module of that name of protobuf.
    aliases: the names that the body reads; a field goes by its name in JSON where that is one of
        them, and its own name is not.
    """

    def __init__(self, message: Any, json_format: Any, aliases: Collection[str] = ()) -> None:
        self._message = message
        self._name = message.DESCRIPTOR.full_name
        self._json = json_format
        self._aliases = aliases
        self._nested: dict[str, Fields] = {self._name: self}
        self._fields: list[Any] = list(message.DESCRIPTOR.fields)
        self._names = {one.number: self._name_of(one) for one in self._fields}
        open_ended = [one for one in self._fields if one.is_repeated]
        self._lists = [self._names[one.number] for one in open_ended if not _is_map(one)]
        self._maps = [self._names[one.number] for one in open_ended if _is_map(one)]
        self._defaults = {
            self._names[one.number]: _named(one, one.default_value)
            for one in self._fields
            if not one.has_presence and not one.is_repeated
        }
        self._by_name = {name: one for one in self._fields for name in (one.name, one.json_name)}

    def message(self, values: Mapping[str, Any]) -> Any:
        """A message that holds these values; one that is None is not set.

        Raises:
            TypeError, ValueError: a value that does not fit, or has no field.
        """
        made = self._message()
        self._fill(made, values)
        return made

    def values(self, message: Any, room: Room) -> dict[str, Any]:
        """What a message holds; a field that can be absent, and is, is left away.

        Raises:
            DecodeError: there is no room for all that the message leaves at its default.
        """
        # The defaults are copied at once: a message of two bytes may have many of them.
        found = dict(self._defaults)
        found |= {name: [] for name in self._lists}
        found |= {name: {} for name in self._maps}
        room.spend(len(found))
        names = self._names
        for one, value in message.ListFields():
            if one.number in names:
                found[names[one.number]] = self._value(one, value, room)
        return found

    def _name_of(self, one: Any) -> str:
        own, other = str(one.name), str(one.json_name)
        return other if other in self._aliases and own not in self._aliases else own

    def _fill(self, made: Any, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            one = self._by_name.get(name)
            if one is None:
                known = ", ".join(field.name for field in self._fields) or "none"
                raise ValueError(f"{self._name} has no field {name!r}; its fields are: {known}")
            if value is not None:
                try:
                    self._set(made, one, value)
                except (TypeError, ValueError) as error:
                    raise type(error)(f"{name}: {error}") from error

    def _set(self, made: Any, one: Any, value: Any) -> None:
        if _is_map(one):
            self._set_map(getattr(made, one.name), one, value)
        elif one.is_repeated:
            target = getattr(made, one.name)
            for each in value:
                if one.message_type is None:
                    target.append(_scalar(one, each))
                else:
                    self._put(target.add(), one.message_type, each)
        elif one.message_type is None:
            setattr(made, one.name, _scalar(one, value))
        else:
            target = getattr(made, one.name)
            target.SetInParent()
            self._put(target, one.message_type, value)

    def _set_map(self, target: Any, one: Any, value: Mapping[Any, Any]) -> None:
        key_field, value_field = one.message_type.fields
        for key, each in value.items():
            name = _scalar(key_field, key)
            if value_field.message_type is None:
                target[name] = _scalar(value_field, each)
            else:
                self._put(target[name], value_field.message_type, each)

    def _put(self, target: Any, kind: Any, value: Any) -> None:
        """Make a nested message what a value says."""
        name = kind.full_name
        if name == "google.protobuf.Timestamp":
            _put_timestamp(target, value)
        elif name == "google.protobuf.Duration":
            target.FromTimedelta(value)
        elif name in _WRAPPED:
            target.value = _scalar(kind.fields[0], value)
        elif name in _JSON:
            self._json.ParseDict(pydantic_core.to_jsonable_python(value), target)
        else:
            self._of(target)._fill(target, value)

    def _value(self, one: Any, value: Any, room: Room) -> Any:
        if _is_map(one):
            kind = one.message_type.fields_by_name["value"]
            return {key: self._single(kind, value[key], room) for key in value}
        if one.is_repeated:
            return [self._single(one, each, room) for each in value]
        return self._single(one, value, room)

    def _single(self, one: Any, value: Any, room: Room) -> Any:
        if one.message_type is None:
            return _named(one, value)
        name = one.message_type.full_name
        if name == "google.protobuf.Timestamp":
            return value.ToDatetime(tzinfo=UTC)
        if name == "google.protobuf.Duration":
            return value.ToTimedelta()
        if name in _WRAPPED:
            return value.value
        if name in _JSON:
            return self._json.MessageToDict(value)
        return self._of(value).values(value, room)

    def _of(self, message: Any) -> "Fields":
        name = message.DESCRIPTOR.full_name
        found = self._nested.get(name)
        if found is None:
            found = Fields(type(message), self._json, self._aliases)
            self._nested[name] = found
            found._nested = self._nested
        return found


def _is_map(one: Any) -> bool:
    return one.message_type is not None and one.message_type.GetOptions().map_entry


def _scalar(one: Any, value: Any) -> Any:
    """A value as protobuf takes it: an enum's member by its number, a text for what it has none."""
    if one.enum_type is not None:
        return _number(one.enum_type, value)
    plain = value.value if isinstance(value, Enum) else value
    if one.cpp_type == one.CPPTYPE_STRING and not isinstance(plain, str | bytes):
        return pydantic_core.to_jsonable_python(plain)
    return plain


def _number(kind: Any, value: Any) -> int:
    names: Mapping[str, Any] = kind.values_by_name
    candidates = (value.value, value.name) if isinstance(value, Enum) else (value,)
    for candidate in candidates:
        if isinstance(candidate, int):
            return candidate
        if candidate in names:
            return int(names[candidate].number)
    raise ValueError(f"{kind.full_name} has no value {value!r}; it has: {', '.join(names)}")


def _named(one: Any, value: Any) -> Any:
    if one.enum_type is None:
        return value
    known = one.enum_type.values_by_number.get(value)
    return value if known is None else known.name


def _put_timestamp(target: Any, value: Any) -> None:
    if not isinstance(value, datetime):
        raise TypeError(f"a datetime is needed, not {type(value).__name__}")
    if value.tzinfo is None:
        raise ValueError(f"the time {value.isoformat()} has no zone, so it is no point in time")
    target.FromDatetime(value)
