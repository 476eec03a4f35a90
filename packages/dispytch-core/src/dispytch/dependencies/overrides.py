"""What stands in for dependencies, in tests."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from dispytch.dependencies.callables import identity_of, name_of
from dispytch.dependencies.dependency import Provider
from dispytch.dependencies.path import Path
from dispytch.exceptions import DependencyError


class Overrides(MutableMapping[Callable[..., Any], Provider]):
    """From a dependency, or a type that is asked for by name, to what is called in its place.

    ``overrides[get_db] = fake``: what stands in is a dependency itself. It may be a function, a
    generator, a class, async or not, with parameters of its own. It takes over the scope and the
    sharing of what it replaces, and its thread if it is not async. It may ask for what it replaces,
    and gets the real one.

    Raises:
        DependencyError: a key or a value that is not callable.
    """

    def __init__(self) -> None:
        self._entries: dict[object, tuple[Callable[..., Any], Provider]] = {}

    def __getitem__(self, replaced: Callable[..., Any]) -> Provider:
        try:
            return self._entries[identity_of(replaced)][1]
        except KeyError:
            raise KeyError(replaced) from None

    def __setitem__(self, replaced: Callable[..., Any], fake: Provider) -> None:
        if not callable(replaced):
            raise DependencyError(f"overrides: {replaced!r} is no dependency, as it is no callable")
        if not callable(fake):
            raise DependencyError(
                f"overrides: what stands in for `{name_of(replaced)}` is called to make the value; "
                f"{fake!r} is no callable: write `lambda: ...`"
            )
        # The keys are ids: what they stand for is kept alive.
        self._entries[identity_of(replaced)] = (replaced, fake)

    def __delitem__(self, replaced: Callable[..., Any]) -> None:
        self[replaced]
        del self._entries[identity_of(replaced)]

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return (replaced for replaced, _ in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        entries = (f"{name_of(one)}: {name_of(fake)}" for one, fake in self._entries.values())
        return f"Overrides({{{', '.join(entries)}}})"


class Replacing:
    """The overrides as they were at the start, and which of them somebody has asked for."""

    def __init__(self, overrides: Mapping[Callable[..., Any], Provider]) -> None:
        self._entries = {identity_of(one): (one, fake) for one, fake in overrides.items()}
        self._asked: set[object] = set()

    def of(self, asked: Callable[..., Any], path: Path) -> Provider | None:
        """What stands in for a dependency or a type, at the end of a path; None if nothing does."""
        key = identity_of(asked)
        self._asked.add(key)
        _, fake = self._entries.get(key, (None, None))
        if fake is None or identity_of(fake) == identity_of(path.calls[-1]):
            return None
        return fake

    def asked(self, replaced: Callable[..., Any]) -> bool:
        """Whether anybody has asked for it so far."""
        return identity_of(replaced) in self._asked

    def unused(self) -> list[Callable[..., Any]]:
        """What is overridden, and nobody has asked for."""
        return [one for one, _ in self._entries.values() if not self.asked(one)]
