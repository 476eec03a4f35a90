"""What is wrong with a body, without its values: they may be anybody's secrets."""

from typing import Final, get_args

from pydantic import ValidationError
from pydantic_core.core_schema import ErrorType

_SHOWN: Final = 5
_LISTED: Final = 200
"""Pydantic lists all of its errors or none; of more than so many it takes too long."""

_NAME: Final = 60
"""Where an error is, is said by names from the wire: each is cut after so many characters."""

_QUOTING: Final = frozenset(
    {
        "assertion_error",
        "bytes_invalid_encoding",
        "datetime_object_invalid",
        "get_attribute_error",
        "iteration_error",
        "mapping_type",
        "timezone_offset",
        "union_tag_invalid",
        "url_parsing",
        "url_syntax_violation",
        "uuid_parsing",
        "value_error",
    }
)
"""Errors of pydantic's whose text may hold what a validator, or the input, says."""

_WITHOUT_VALUES: Final = frozenset(get_args(ErrorType)) - _QUOTING


def faults_of(error: ValidationError) -> str:
    """Where and why, first of all: not yet escaped, and never a value of what was validated.

    Of an error whose text is a validator's own, or may quote the input, the type is named.
    """
    count = error.error_count()
    if count > _LISTED:
        return f"{count} errors, too many to be listed"
    found = error.errors(include_input=False, include_url=False, include_context=False)
    shown = [_path(one["loc"]) + _reason(one["type"], one["msg"]) for one in found[:_SHOWN]]
    more = count - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _reason(kind: str, text: str) -> str:
    return text if kind in _WITHOUT_VALUES else kind


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(one)[:_NAME] for one in location) + ": " if location else ""
