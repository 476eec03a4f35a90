"""Sending to the in-memory broker."""

import asyncio
import contextlib
import time
from collections.abc import Sequence

from dispytch.exceptions import SendError, SendTimeout, TransportError, Unroutable
from dispytch.memory.bell import Bell
from dispytch.memory.broker import MemoryBroker
from dispytch.memory.config import MemoryConfig
from dispytch.memory.log import Record
from dispytch.memory.topic import Partition
from dispytch.messages import Message, may_make_topic
from dispytch.transport import Producer

_Routed = tuple[int, Partition, Record]


class MemoryProducer(Producer):
    """Appends messages to the logs of their topics; waits for room where one is full."""

    def __init__(self, broker: MemoryBroker, config: MemoryConfig) -> None:
        self._broker = broker
        self._config = config
        self._sending = 0
        self._idle = Bell()

    async def send(self, messages: Sequence[Message], *, delay: float | None = None) -> None:
        """See `Producer.send`. Lets other tasks run, as a call to any broker does."""
        self._sending += 1
        try:
            await self._send(messages, delay or 0.0)
        finally:
            self._sending -= 1
            self._idle.ring()

    async def idle(self) -> None:
        """Return when nothing is being sent."""
        while self._sending:
            await self._idle.wait()

    async def _send(self, messages: Sequence[Message], delay: float) -> None:
        failures: dict[int, TransportError] = {}
        routed = self._routed(messages, failures)
        waiting = self._put_off(routed, delay) if delay > 0 else _append(routed)
        if waiting:
            waiting = await self._append_in_time(waiting)
        else:
            await asyncio.sleep(0)
        for index, partition, _ in waiting:
            failures[index] = SendTimeout(
                f"{partition.name} is full, and a group has not settled its oldest record within "
                f"{self._config.send_timeout} s: see why it stands still, or raise the retention"
            )
        if failures:
            raise SendError(failures, len(messages))

    def _routed(
        self, messages: Sequence[Message], failures: dict[int, TransportError]
    ) -> list[_Routed]:
        now = time.time_ns() // 1_000_000
        routed: list[_Routed] = []
        for index, message in enumerate(messages):
            topic = self._broker.topic(message.topic, self._config, make=may_make_topic(message))
            if topic is None:
                failures[index] = Unroutable(
                    f"the in-memory broker {self._config.name!r} has no topic {message.topic!r}, "
                    f"and declare={self._config.declare!r} makes none"
                )
                continue
            # The tuple is a copy: the sender may reuse its list of headers.
            record = Record(message.key, message.value, tuple(message.headers), now)
            routed.append((index, topic.partition_for(message.key), record))
        return routed

    def _put_off(self, routed: list[_Routed], delay: float) -> list[_Routed]:
        """Have the broker append these later; none has to wait for room now."""
        delayed = self._broker.delayed
        due = delayed.clock() + delay
        for _, partition, record in routed:
            delayed.add(due, partition, record)
        return []

    async def _append_in_time(self, waiting: list[_Routed]) -> list[_Routed]:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.send_timeout):
                while waiting:
                    await self._broker.room.wait()
                    waiting = _append(waiting)
        return waiting


def _append(routed: list[_Routed]) -> list[_Routed]:
    """Append what there is room for; returns what has to wait.

    A partition that was full stays so until the end of this, so that its order is kept.
    """
    return [entry for entry in routed if not entry[1].append(entry[2])]
