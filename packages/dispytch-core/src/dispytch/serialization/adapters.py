"""Types that pydantic is to validate, made ready at start."""

from collections.abc import Callable
from copy import copy
from typing import Any

from pydantic import PydanticUndefinedAnnotation, PydanticUserError, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError

from dispytch.serialization.fail_fast import stop_at_first_fault


class Unvalidatable(TypeError):
    """Pydantic cannot validate this type, or it names what is not there; the text says why."""


def adapter_of(kind: Any) -> TypeAdapter[Any]:
    """What validates and writes values of a type; see `stop_at_first_fault`.

    Raises:
        Unvalidatable: there is no such thing, or not yet.
    """
    return _ready(lambda: TypeAdapter[Any](kind))


def copy_of(adapter: TypeAdapter[Any]) -> TypeAdapter[Any]:
    """The same for an adapter of the program's own, which is left as it is.

    Raises:
        Unvalidatable: what it is for is not there yet.
    """
    return _ready(lambda: copy(adapter))


def _ready(make: Callable[[], TypeAdapter[Any]]) -> TypeAdapter[Any]:
    try:
        adapter = make()
        if not adapter.pydantic_complete:
            # Pydantic would say so at the first value.
            adapter.rebuild(raise_errors=True)
    except PydanticUndefinedAnnotation as error:
        raise Unvalidatable(
            f"`{error.name}` is not defined; define or import it at module level, outside of "
            "`if TYPE_CHECKING`, before the start, or call model_rebuild() on the model that "
            "names it"
        ) from error
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError) as error:
        raise Unvalidatable(str(error)) from error
    return stop_at_first_fault(adapter)
