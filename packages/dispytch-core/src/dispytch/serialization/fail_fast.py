"""Validation that stops at the first fault within each collection.

Pydantic notes every fault of a body. 1 MB of ``[{},{},...]``, against a list of a union of two
models, takes it 8 seconds and 800 MB, in which nothing else runs. What is valid is validated as
ever.
"""

from typing import Any, Final, cast

from pydantic import TypeAdapter
from pydantic_core import SchemaError, SchemaValidator

_COLLECTIONS: Final = frozenset(
    {"list", "deque", "tuple", "set", "frozenset", "dict", "frozendict", "ordered-dict", "counter"}
)

_NO_SCHEMA: Final = frozenset(
    {"cls", "config", "custom_error_context", "default", "expected", "metadata", "serialization"}
)
"""Where a schema holds what is the program's own."""


def stop_at_first_fault(adapter: TypeAdapter[Any]) -> TypeAdapter[Any]:
    """Have an adapter stop at the first fault within each collection, however deep; the same one.

    A validator that a plugin of pydantic's has made is left as it is, and so is one that pydantic
    cannot make again.
    """
    schema: Any = adapter.core_schema
    plain: object = type(adapter.validator)
    if plain is SchemaValidator:
        try:
            adapter.validator = _validator(_failing_fast(schema))
        except SchemaError:
            return adapter
    return adapter


def _validator(schema: Any) -> SchemaValidator:
    make: Any = SchemaValidator
    try:
        # Else the validators that models have made for themselves are taken.
        validator: SchemaValidator = make(schema, _use_prebuilt=False)
    except TypeError:
        validator = make(schema)
    return validator


def _failing_fast(schema: object) -> Any:
    """A copy of a schema: its collections fail fast, values of the program's own are the same."""
    match schema:
        case dict():
            return _of_dict(cast("dict[str, Any]", schema))
        case list():
            return [_failing_fast(one) for one in cast("list[object]", schema)]
        case tuple():
            return tuple(_failing_fast(one) for one in cast("tuple[object, ...]", schema))
        case _:
            return schema


def _of_dict(schema: dict[str, Any]) -> dict[str, Any]:
    copied = {
        name: value if name in _NO_SCHEMA else _failing_fast(value)
        for name, value in schema.items()
    }
    kind: object = copied.get("type")
    if isinstance(kind, str) and kind in _COLLECTIONS:
        copied["fail_fast"] = True
    return copied
