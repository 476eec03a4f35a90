"""The way from a handler to one of its dependencies, for the texts of errors."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from dispytch.dependencies.callables import full_name_of, identity_of, name_of


@dataclass(frozen=True, slots=True)
class Path:
    """Reads ``handler `app.handle` → parameter `svc` → dependency `get_svc` → parameter `db```.

    ``calls`` are the callables on the way, the handler first.
    """

    text: str
    calls: tuple[Callable[..., Any], ...]

    @classmethod
    def to_handler(cls, handler: Callable[..., Any]) -> "Path":
        """Where every path begins."""
        return cls(f"handler `{full_name_of(handler)}`", (handler,))

    @property
    def is_of_handler(self) -> bool:
        """Whether it goes no further than the handler and its parameters."""
        return len(self.calls) == 1

    def parameter(self, name: str) -> "Path":
        """On to a parameter of the last callable."""
        return replace(self, text=f"{self.text} → parameter `{name}`")

    def listed(self, place: int) -> "Path":
        """On to one of those that run before the handler."""
        return replace(self, text=f"{self.text} → dependencies[{place}]")

    @property
    def asking(self) -> str:
        """The name of the callable that the last parameter is of."""
        return name_of(self.calls[-1])

    def dependency(
        self, func: Callable[..., Any], replaced: Callable[..., Any] | None = None
    ) -> "Path":
        """On to the callable that provides the parameter, maybe in the place of another."""
        instead = "" if replaced is None else f" (in place of `{name_of(replaced)}`)"
        return Path(f"{self.text} → dependency `{name_of(func)}`{instead}", (*self.calls, func))

    def cycle(self) -> str | None:
        """The names from the last callable back to itself, if it is on the way twice."""
        *before, last = map(identity_of, self.calls)
        if last not in before:
            return None
        return " → ".join(f"`{name_of(func)}`" for func in self.calls[before.index(last) :])

    def __str__(self) -> str:
        return self.text
