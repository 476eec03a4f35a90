"""What pydantic says about a body, in the errors of dispytch."""

from collections.abc import Callable
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from dispytch.exceptions import BodyInvalid

_COMPLAINTS_SHOWN: Final = 5


def validated(adapter: TypeAdapter[Any], plain: Any) -> Any:
    """The body made of plain data.

    Names that are aliases and those of the fields themselves are both taken.

    Raises:
        BodyInvalid: the body's type refuses it.
    """
    return checked(lambda: adapter.validate_python(plain, by_alias=True, by_name=True))


def checked(validate: Callable[[], Any]) -> Any:
    """What `validate` returns.

    Raises:
        BodyInvalid: it raised something.
    """
    try:
        return validate()
    except ValidationError as error:
        raise BodyInvalid(f"the body is refused: {complaints(error)}") from error
    except Exception as error:
        raise BodyInvalid(
            f"a validator of the body failed: {type(error).__name__}: {error}"
        ) from error


def complaints(error: ValidationError) -> str:
    """Where and why, in one line; never the values, which may be anybody's secrets."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    shown = [f"{_path(one['loc'])}{one['msg']}" for one in found[:_COMPLAINTS_SHOWN]]
    more = len(found) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) + ": " if location else ""
