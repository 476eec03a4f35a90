"""Bodies of older versions of an event, brought up to the newest."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dispytch.exceptions import BodyInvalid, ConfigurationError
from dispytch.failing import failure_of, kind_and_place

Step = Callable[[Any], Any]
"""From the plain data of one version to that of the next."""


@dataclass(frozen=True, slots=True)
class Upcast:
    """One step: from the body of a version of an event type to that of the next version.

    ``step`` takes the body as plain data, as it was read and before anything is validated, and
    returns it as the next version has it; it may change what it is given. What it raises makes the
    event invalid.

    Raises:
        ConfigurationError: a version below 1, no event type, or a step that is no plain function.
    """

    event: str
    from_version: int
    step: Step

    def __post_init__(self) -> None:
        if not isinstance(self.event, str) or not self.event:
            raise ConfigurationError(f"upcast: event must be an event type, not {self.event!r}")
        if type(self.from_version) is not int or self.from_version < 1:
            raise ConfigurationError(
                f"upcast of {self.event!r}: from_version must be a whole number from 1, "
                f"not {self.from_version!r}"
            )
        if not callable(self.step) or inspect.iscoroutinefunction(self.step):
            raise ConfigurationError(
                f"upcast of {self.event!r} from version {self.from_version}: the step is a "
                f"function from plain data to plain data, not async, not {self.step!r}"
            )

    def __call__(self, data: Any) -> Any:
        """The body as the next version has it: an upcast is tested by calling it."""
        return self.step(data)


def upcast(*, event: str, from_version: int) -> Callable[[Step], Upcast]:
    """Make the decorated function the step from one version of an event type to the next.

    Raises:
        ConfigurationError: see `Upcast`.
    """
    return lambda step: Upcast(event, from_version, step)


class Upcasts:
    """The steps for one event type, in order and without gaps: ``oldest`` to ``newest``.

    Raises:
        ConfigurationError: a step is missing between two others, or given twice.
    """

    def __init__(self, event: str, upcasts: Iterable[Upcast]) -> None:
        self.event = event
        steps: dict[int, Step] = {}
        for one in upcasts:
            if one.from_version in steps:
                raise ConfigurationError(
                    f"two upcasts lead from version {one.from_version} of {event!r}; keep one"
                )
            steps[one.from_version] = one.step
        self.oldest: int = min(steps)
        self.newest: int = max(steps) + 1
        for version in range(self.oldest, self.newest):
            if version not in steps:
                raise ConfigurationError(
                    f"no upcast leads from version {version} of {event!r} to {version + 1}, "
                    f"though there are some from {self.oldest} and to {self.newest}: "
                    f"add @upcast(event={event!r}, from_version={version})"
                )
        self._steps = [steps[version] for version in range(self.oldest, self.newest)]

    def bring(self, data: Any, version: int) -> Any:
        """The plain data of a version, as the newest version has it.

        Raises:
            BodyInvalid: the version is not known here, or a step failed.
        """
        self.check(version)
        for number, step in enumerate(self._steps[version - self.oldest :], version):
            try:
                data = step(data)
            except BaseException as error:
                failure_of(error)
                why = kind_and_place(error)
            else:
                continue
            raise BodyInvalid(
                f"the upcast of {self.event!r} from version {number} to {number + 1} failed: {why}"
            )
        return data

    def check(self, version: int) -> None:
        """Refuse a version that cannot be brought up to the newest.

        Raises:
            BodyInvalid: it is newer than the newest, or older than the oldest.
        """
        if version > self.newest:
            raise BodyInvalid(
                f"the event is version {version} of {self.event!r}, and the newest that is known "
                f"here is {self.newest}: deploy the handlers that know it, then replay the event"
            )
        if version < self.oldest:
            raise BodyInvalid(
                f"the event is version {version} of {self.event!r}, and upcasts lead from "
                f"{self.oldest} on only"
            )


def chains(upcasts: Iterable[Upcast]) -> Mapping[str, Upcasts]:
    """The steps of each event type.

    Raises:
        ConfigurationError: see `Upcasts`.
    """
    by_event: dict[str, list[Upcast]] = {}
    for one in upcasts:
        by_event.setdefault(one.event, []).append(one)
    return {event: Upcasts(event, steps) for event, steps in by_event.items()}
