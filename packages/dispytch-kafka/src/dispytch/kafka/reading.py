"""What can be read of each partition, what cannot, and since when."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Final

from dispytch.exceptions import reason_of
from dispytch.kafka.batches import Fetched
from dispytch.kafka.driver_types import PutOff, TopicPartition
from dispytch.kafka.spelling import stream_of

logger: logging.Logger = logging.getLogger("dispytch.kafka")

_TRIES: Final = 3
_GRACE: Final = 5.0
"""Seconds in which a fetch may fail before that is a problem: leaders change in less."""

_FIRST_PAUSE: Final = 0.3
_LONGEST_PAUSE: Final = 2.0
_TOLD_OF_UNREADABLE: Final = 60.0
_TOLD_OF_EXPIRED: Final = 300.0


@dataclass(slots=True)
class _Failure:
    """Fetches of one place that have brought nothing."""

    offset: int
    since: float
    reason: str
    is_damage: bool
    count: int = 0

    def pause(self) -> float:
        """How long to wait after so many."""
        self.count += 1
        return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self.count - 1, 10))


@dataclass(slots=True)
class _Note:
    """What has happened to a partition, and until when to tell of it."""

    text: str
    until: float
    count: int = 1


class Reading:
    """Reads what is fetched of partitions; see `dispytch.kafka.driver.Reading`.

    It outlives clients and assignments, so that what fails at one place is counted there. Bytes
    that have changed on their way are fetched again, a few times; then they are passed over.

    limit: how many bytes a batch may hold.
    now: gives the time, in seconds.
    """

    def __init__(self, limit: int, now: Callable[[], float] = monotonic) -> None:
        self._limit = limit
        self._now = now
        self._failures: dict[TopicPartition, _Failure] = {}
        self._unreadable: dict[TopicPartition, _Note] = {}
        self._expiring: dict[TopicPartition, int] = {}
        self._expired: dict[TopicPartition, _Note] = {}

    def records(
        self,
        partition: TopicPartition,
        chunk: bytes,
        *,
        offset: int,
        aborted: Sequence[tuple[int, int]],
        put_off: PutOff,
    ) -> Fetched:
        """The records of what was fetched, from this offset on."""
        failure = self._failures.get(partition)
        if failure is not None and not (failure.is_damage and failure.offset == offset):
            del self._failures[partition]
        if partition in self._expiring:
            self._note_expired(partition, self._expiring.pop(partition), offset)
        give_up = partial(self._damaged, partition, put_off)
        return Fetched(
            chunk,
            offset=offset,
            aborted=aborted,
            limit=self._limit,
            give_up=give_up,
            broken=partial(self._note_unreadable, partition),
        )

    def failed(
        self, partition: TopicPartition, offset: int, error: BaseException, put_off: PutOff
    ) -> None:
        """A fetch from this offset on has failed, and will be tried again."""
        put_off(self._failure(partition, offset, reason_of(error), is_damage=False).pause())

    def expired(self, partition: TopicPartition, offset: int) -> None:
        """The broker does not have this offset; where reading goes on will be known later."""
        self._expiring.setdefault(partition, offset)

    def problems(self, held: Collection[TopicPartition]) -> Mapping[str, str]:
        """What is wrong with the partitions that are held, and what has lately gone wrong."""
        now = self._now()
        found: dict[str, str] = {}
        for partition, failure in list(self._failures.items()):
            if partition not in held:
                del self._failures[partition]
            elif failure.is_damage or now - failure.since >= _GRACE:
                found[f"fetch {stream_of(partition)}"] = _sentence(partition, failure, now)
        for what, notes in (("unreadable", self._unreadable), ("expired", self._expired)):
            for partition, note in list(notes.items()):
                if note.until <= now:
                    del notes[partition]
                else:
                    found[f"{what} {stream_of(partition)}"] = note.text
        return found

    def _damaged(
        self, partition: TopicPartition, put_off: PutOff, offset: int, reason: str
    ) -> bool:
        failure = self._failure(partition, offset, reason, is_damage=True)
        pause = failure.pause()
        if failure.count >= _TRIES:
            del self._failures[partition]
            return True
        put_off(pause)
        return False

    def _failure(
        self, partition: TopicPartition, offset: int, reason: str, *, is_damage: bool
    ) -> _Failure:
        found = self._failures.get(partition)
        if found is None or (found.offset, found.is_damage) != (offset, is_damage):
            found = _Failure(offset, self._now(), reason, is_damage)
            self._failures[partition] = found
        found.reason = reason
        return found

    def _note_unreadable(self, partition: TopicPartition, offset: int, reason: str) -> None:
        note = self._unreadable.get(partition)
        count = 1 if note is None else note.count + 1
        stream = stream_of(partition)
        text = f"{stream} cannot be read at offset {offset}: {reason}"
        if count > 1:
            text += f" ({count} records of it could not be read)"
        self._unreadable[partition] = _Note(text, self._now() + _TOLD_OF_UNREADABLE, count)

    def _note_expired(self, partition: TopicPartition, wanted: int, got: int) -> None:
        stream = stream_of(partition)
        if got > wanted:
            text = f"{stream}: the records from {wanted} to {got - 1} expired before they were read"
        else:
            text = (
                f"{stream} does not reach up to {wanted}, where this group was, and is read again "
                f"from {got}: the topic was made anew, or the broker has lost its end"
            )
        logger.warning("%s", text)
        self._expired[partition] = _Note(text, self._now() + _TOLD_OF_EXPIRED)


def _sentence(partition: TopicPartition, failure: _Failure, now: float) -> str:
    return (
        f"{stream_of(partition)} cannot be read from offset {failure.offset} on, for "
        f"{now - failure.since:.0f} s: {failure.reason}"
    )
