"""What a registry has answered, as far as there is room for it."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """The newest answers: not more than so many, of no more bytes, and none for longer than that.

    seconds, clock: for how long an answer is kept; for good without a clock.
    """

    def __init__(
        self,
        most: int,
        *,
        most_bytes: int | None = None,
        seconds: float = 0.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._clock = clock
        self._values: dict[Hashable, tuple[Value, float, int]] = {}
        self._bytes = 0

    def get(self, key: Hashable) -> Value | None:
        """The answer to a question, if it is here."""
        found = self._values.get(key)
        if found is None:
            return None
        value, until, _ = found
        if self._clock is not None and self._clock() >= until:
            self.drop(key)
            return None
        return value

    def keep(self, key: Hashable, value: Value, size: int = 0) -> None:
        """Keep an answer of so many bytes, in the place of the oldest ones if need be."""
        self.drop(key)
        while self._values and self._is_full(size):
            self.drop(next(iter(self._values)))
        until = 0.0 if self._clock is None else self._clock() + self._seconds
        self._values[key] = (value, until, size)
        self._bytes += size

    def drop(self, key: Hashable) -> None:
        """Forget an answer."""
        found = self._values.pop(key, None)
        if found is not None:
            self._bytes -= found[2]

    def __len__(self) -> int:
        return len(self._values)

    def _is_full(self, size: int) -> bool:
        if len(self._values) >= self._most:
            return True
        return self._most_bytes is not None and self._bytes + size > self._most_bytes
