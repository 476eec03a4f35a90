"""Avro schemas that refer to others, made into one.

fastavro's own way, `load_schema`, has no end where what a name leads to does not define the name.

Source: https://avro.apache.org/docs/1.12.0/specification/#names
"""

from collections.abc import Iterator
from typing import Any, Final, cast

import pydantic_core

from dispytch.serialization.schemas import Schema

_NAMED: Final = ("record", "error", "enum", "fixed")


def whole(schema: Schema) -> Any:
    """The schema as JSON has it, with each that it refers to in the place where it is first named.

    Raises:
        ValueError: one of them is not JSON, or not what it is referred to as.
    """
    root = pydantic_core.from_json(schema.text)
    if not schema.references:
        return root
    return _Whole(dict(_named(schema))).of(root, "")


def _named(schema: Schema) -> Iterator[tuple[str, Any]]:
    """What a schema refers to, however far away, by the names that it goes by."""
    for name, referred in schema.references:
        yield from _named(referred)
        definition = pydantic_core.from_json(referred.text)
        yield name, definition
        if isinstance(definition, dict) and "name" in definition:
            yield _full_name(cast(Any, definition), ""), definition


class _Whole:
    def __init__(self, named: dict[str, Any]) -> None:
        self._named = named
        self._defined: set[str] = set()

    def of(self, schema: Any, namespace: str) -> Any:
        """A schema within a namespace."""
        if isinstance(schema, list):
            return [self.of(one, namespace) for one in cast(Any, schema)]
        if isinstance(schema, str):
            return self._referred(schema, namespace)
        if isinstance(schema, dict):
            return self._within(cast(Any, schema), namespace)
        return schema

    def _referred(self, name: str, namespace: str) -> Any:
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        for candidate in (full, name):
            if candidate in self._defined:
                return candidate
            if candidate in self._named:
                return self.of(_as_named(self._named[candidate], candidate), "")
        # Whoever parses it says that there is no such name.
        return name

    def _within(self, schema: dict[str, Any], namespace: str) -> dict[str, Any]:
        made = dict(schema)
        if schema.get("type") in _NAMED and "name" in schema:
            full = _full_name(schema, namespace)
            self._defined.add(full)
            namespace = full.rpartition(".")[0]
        for part in ("type", "items", "values"):
            if part in made and made[part] not in _NAMED:
                made[part] = self.of(made[part], namespace)
        if isinstance(schema.get("fields"), list):
            made["fields"] = [
                {**one, "type": self.of(one["type"], namespace)} for one in schema["fields"]
            ]
        return made


def _as_named(definition: Any, name: str) -> Any:
    """A definition that stands somewhere else than it was written for, and keeps its name there."""
    found: dict[str, Any] = cast(Any, definition) if isinstance(definition, dict) else {}
    if "name" not in found:
        return cast(Any, definition)
    own = _full_name(found, "")
    if own != name and own == name.rpartition(".")[2]:
        # The name that it is referred to by says what namespace it is in.
        own = name
    if own != name:
        raise ValueError(f"what it refers to as {name!r} is {own!r}")
    return {**found, "namespace": own.rpartition(".")[0]}


def _full_name(schema: dict[str, Any], namespace: str) -> str:
    name = str(schema["name"])
    within = str(schema.get("namespace", namespace))
    return name if "." in name or not within else f"{within}.{name}"
