"""How a service is: what `EventListener.health` says, and a line in the log when that changes."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from dispytch.delivery import Engine
from dispytch.exceptions import reason_of
from dispytch.health import Health
from dispytch.transport import CONNECTION, Consumer

logger: logging.Logger = logging.getLogger("dispytch")

ANSWER_WITHIN: Final = 4.5
"""Seconds that the broker has to answer, so that `health` takes five at most."""

_TELLS_OF_ITSELF: Final = frozenset({"circuit"})
"""The conditions whose beginning and end are in the log already."""

Conditions = Callable[[], Mapping[str, str | None]]
"""A sentence for each thing that may be wrong, by its name; None while it is not."""


class Journal:
    """Logs each problem when it begins and when it ends.

    A problem is known by its name, so that its sentence may change while it lasts.
    """

    def __init__(self, group: str) -> None:
        self._group = group
        self._open: dict[str, tuple[float, str]] = {}

    def note(self, problems: Mapping[str, str], now: float) -> None:
        """Take in all that is wrong at the moment ``now``."""
        for name in [name for name in self._open if name not in problems]:
            began, sentence = self._open.pop(name)
            logger.warning("group %r: over after %.1f s: %s", self._group, now - began, sentence)
        for name, sentence in problems.items():
            if name not in self._open:
                logger.error("group %r: %s", self._group, sentence)
            began, _ = self._open.get(name, (now, sentence))
            self._open[name] = (began, sentence)


class Checkup:
    """Looks after one service, about once a second, whether or not anybody asks for its health.

    conditions: what core itself finds wrong.
    interval: the seconds between two looks.
    """

    def __init__(
        self,
        group: str,
        consumer: Consumer,
        engine: Engine,
        conditions: Conditions,
        *,
        interval: float = 1.0,
    ) -> None:
        self._consumer = consumer
        self._engine = engine
        self._conditions = conditions
        self._interval = interval
        self._journal = Journal(group)
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[Mapping[str, int]] | None = None
        self._silence: str | None = None

    def begin(self) -> None:
        """Look now, and again and again until `end`."""
        self._look()
        self._next = self._loop.call_later(self._interval, self.begin)

    def end(self) -> None:
        """Look no more."""
        if self._next is not None:
            self._next.cancel()
        if self._asking is not None:
            self._asking.cancel()

    async def health(self, last_error: str | None) -> Health:
        """See `EventListener.health`."""
        lag = await self._lag()
        problems = self._look()
        stopping = self._engine.stopping
        return Health(
            problems=(*problems.values(), *(("the listener is stopping",) if stopping else ())),
            connected=self._silence is None and f"consumer.{CONNECTION}" not in problems,
            intake=not stopping,
            streams=tuple(sorted(lease.stream for lease in self._consumer.leases)),
            lag=lag,
            in_flight=self._engine.in_flight,
            oldest=self._engine.oldest,
            last_error=last_error,
        )

    def _look(self) -> Mapping[str, str]:
        """All that is wrong, by names; core's own conditions last."""
        problems = {} if self._silence is None else {"silence": self._silence}
        problems |= _told_by(self._consumer)
        for name, sentence in self._conditions().items():
            if sentence is not None:
                problems[name] = sentence
        told = {name: problems[name] for name in problems if name not in _TELLS_OF_ITSELF}
        self._journal.note(told, self._loop.time())
        return problems

    async def _lag(self) -> Mapping[str, int]:
        """The lag; nothing, and the reason in `_silence`, when the broker does not tell it.

        One question is under way at a time, however many ask for the health: even one that cannot
        be cancelled keeps nobody waiting, and does not add up.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._consumer.lag())
            self._asking.add_done_callback(_seen)
        asking = self._asking
        await asyncio.wait({asking}, timeout=ANSWER_WITHIN)
        self._silence = None
        if asking.done() and not asking.cancelled():
            if (error := asking.exception()) is None:
                return asking.result()
            self._silence = f"the broker does not answer: {reason_of(error)}"
        else:
            asking.cancel()
            self._silence = f"the broker does not answer: nothing came within {ANSWER_WITHIN:g} s"
        return {}


def _told_by(consumer: Consumer) -> dict[str, str]:
    """What the backend finds wrong; that it cannot say so is wrong as well."""
    try:
        told = {f"consumer.{name}": sentence for name, sentence in consumer.problems.items()}
    except Exception as error:
        return {"consumer": f"the backend cannot say how it is: {reason_of(error)}"}
    return told


def _seen(asking: asyncio.Task[Mapping[str, int]]) -> None:
    # Nobody may be left to hear of a failure, and that is no failure of its own.
    if not asking.cancelled():
        asking.exception()
