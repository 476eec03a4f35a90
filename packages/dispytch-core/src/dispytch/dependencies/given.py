"""Reading what a middleware has provided."""

from inspect import Parameter
from typing import Any

from dispytch.events import Event
from dispytch.exceptions import DependencyError


class GivenReader:
    """Reads the value that a middleware has provided for a type, or takes the default."""

    def __init__(self, kind: type[Any], default: object, path: str) -> None:
        self._kind = kind
        self._default = default
        self._path = path

    def __call__(self, event: Event[Any]) -> Any:
        """The value for the parameter.

        Raises:
            DependencyError: no middleware has provided one, and there is no default.
        """
        try:
            return event.provided(self._kind)
        except DependencyError as error:
            if self._default is not Parameter.empty:
                return self._default
            raise DependencyError(f"{self._path}: {error}") from None
