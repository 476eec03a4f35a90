"""How a parameter asks for a header of the message."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from dispytch.dependencies.signature import layers
from dispytch.envelope import attribute_named
from dispytch.events import Event
from dispytch.exceptions import DependencyError, ParameterInvalid
from dispytch.failing import failure_of, kind_and_place
from dispytch.faults import faults_of
from dispytch.printable import TEXT_LIMIT, printable
from dispytch.serialization.adapters import adapter_of

_TEXTS = (str, bytes, bytearray)


@dataclass(frozen=True, slots=True)
class HeaderMarker:
    """What `Header` leaves in a signature."""

    name: str | None


def Header(name: str | None = None) -> Any:  # noqa: N802
    """Ask for a header: ``Annotated[str, Header("x-tenant")]``, or ``= Header("x-tenant")``.

    It returns Any, so that it stands as the default value of a parameter of any type.

    name: exactly as on the wire: brokers tell upper and lower case apart. If not given, the name
        of the parameter, with ``-`` for ``_``: ``x_tenant`` asks for ``x-tenant``. An attribute of
        CloudEvents is found however it came: ``ce_subject`` is the subject on any broker, whether
        it is a header there or stands in the message's value.

    The header is read as UTF-8 and validated by pydantic as the annotated type: an int, a UUID, a
    datetime, a Literal, ``Json[Model]``, with ``Field(...)`` beside it; as ``bytes`` it comes as
    it is. A list, a tuple or a set takes all headers of the name in their order; anything else the
    last one.

    Where the header is missing, the parameter's default counts. Without a default, or with a value
    that its type refuses, the event is invalid: it is given up at once, as its failure policy says.

    Raises:
        DependencyError: the name is no text, or empty.
    """
    if name is not None and (not isinstance(name, str) or not name):
        raise DependencyError(f"Header takes the name of a header, not {name!r}")
    return HeaderMarker(name)


class HeaderReader:
    """Reads one header, as a parameter asks for it.

    Raises:
        Unvalidatable: pydantic cannot validate such a type.
    """

    def __init__(self, marker: HeaderMarker, annotation: Any, parameter: Parameter) -> None:
        self._name = marker.name or parameter.name.replace("_", "-")
        self._attribute = attribute_named(self._name)
        self._adapter: TypeAdapter[Any] = adapter_of(
            str if annotation is Parameter.empty else annotation
        )
        self._takes_all = any(map(_is_collection, layers(annotation)))
        self._takes_bytes = any(bytes in (one, *get_args(one)) for one in layers(annotation))
        self._default = Parameter.empty if _is_marker(parameter.default) else parameter.default

    def __call__(self, event: Event[Any]) -> Any:
        """The value for the parameter.

        Raises:
            ParameterInvalid: the header is missing, or refused.
        """
        found = [
            value
            for name, value in event.delivery.headers
            if name == self._name and value is not None
        ]
        if not found:
            found = self._attributes(event)
        if not found:
            return self._without(event)
        try:
            values = found if self._takes_bytes else [value.decode() for value in found]
            return self._adapter.validate_python(values if self._takes_all else values[-1])
        except UnicodeDecodeError:
            text = f"header {self._name!r} is not UTF-8; as bytes it is taken as it is"
        except ValidationError as error:
            text = f"header {self._name!r} is refused: {printable(faults_of(error), TEXT_LIMIT)}"
        except BaseException as error:
            failure_of(error)
            text = f"a validator of header {self._name!r} failed: {kind_and_place(error)}"
        raise ParameterInvalid(text)

    def _attributes(self, event: Event[Any]) -> list[bytes]:
        """The attribute of CloudEvents that is asked for, if it is one and came in another way."""
        if self._attribute is None:
            return []
        text = event.attributes.get(self._attribute)
        return [] if text is None else [text.encode(errors="surrogatepass")]

    def _without(self, event: Event[Any]) -> Any:
        if self._default is not Parameter.empty:
            return self._default
        names = ", ".join(sorted({printable(name) for name, _ in event.delivery.headers}))
        raise ParameterInvalid(
            f"header {self._name!r} is missing; there are: {printable(names, TEXT_LIMIT) or 'none'}"
        )


def _is_marker(default: object) -> bool:
    return isinstance(default, HeaderMarker)


def _is_collection(annotation: Any) -> bool:
    kind = get_origin(annotation) or annotation
    return (
        isinstance(kind, type)
        and issubclass(kind, Collection)
        and not issubclass(kind, (*_TEXTS, Mapping))
    )
