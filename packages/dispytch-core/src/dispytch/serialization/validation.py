"""What pydantic says about a body, in the errors of dispytch."""

from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dispytch.exceptions import BodyInvalid
from dispytch.failing import kind_and_place
from dispytch.faults import faults_of
from dispytch.printable import TEXT_LIMIT, printable


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
    except Exception as error:
        refusal = invalid(error)
    raise refusal


def invalid(error: Exception) -> BodyInvalid:
    """The error of a body that was being validated when this was raised.

    It neither holds nor quotes it: there the values of the body are, and it may be huge.
    """
    if isinstance(error, ValidationError):
        return BodyInvalid(f"the body is refused: {printable(faults_of(error), TEXT_LIMIT)}")
    return BodyInvalid(f"a validator of the body failed: {kind_and_place(error)}")
