"""Lanes: which event may run next. Pure bookkeeping, no clock and no tasks."""

from collections import deque
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Literal

from dispytch.delivery.attempt import Owed
from dispytch.messages import Delivery, Lease

Ordering = Literal["key", "partition", "none"]
"""What is kept in order: the events of one key, of one stream, or nothing."""

Lane = Delivery | deque[Delivery]
"""Events that run one at a time, in order: those of one key on one stream.

The first one is ready, or with whoever took it. Most lanes never hold a second event, and are that
one event: an object for each would cost as much as all the rest of its way through here.
"""

_WHOLE_STREAM = b""


class LeasedStream:
    """The lanes of one lease, by key.

    ``furthest`` is the position of the furthest event that has started, where gaps are filled.
    """

    __slots__ = ("furthest", "lanes", "lease")

    def __init__(self, lease: Lease) -> None:
        self.lease: Lease = lease
        self.lanes: dict[Hashable, Lane] = {}
        self.furthest: int = -1

    def cut(self) -> None:
        """Forget what lies beyond the furthest event that has started."""
        for lane in self.lanes.values():
            if isinstance(lane, deque):
                while len(lane) > 1 and lane[-1].position > self.furthest:
                    lane.pop()


class Lanes:
    """All lanes that have events. The first event of a lane is *ready*, or with whoever took it.

    A taken event is given back by `advance`, when it is done, or by `again`, when it must run once
    more; whoever takes one decides when. Nothing else of its lane is ready before. For an event of
    a dropped lease, both are without effect. ``owed`` has what a ready event is still owed that ran
    before; whoever takes the event takes that, too.

    fill_gaps: have `retire` keep what lies before an event that has started, for a broker that
        remembers one position per stream.
    """

    def __init__(self, ordering: Ordering, *, fill_gaps: bool = False) -> None:
        self.ready: deque[Delivery] = deque()
        self.owed: dict[Delivery, Sequence[Owed]] = {}
        self._fill_gaps = fill_gaps
        self._ordering = ordering
        self._streams: dict[Lease, LeasedStream] = {}

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Put deliveries behind those of their key."""
        streams, ready, ordering = self._streams, self.ready, self._ordering
        for delivery in deliveries:
            stream = streams.get(delivery.lease)
            if stream is None:
                stream = streams[delivery.lease] = LeasedStream(delivery.lease)
            key = delivery.key if ordering == "key" else _WHOLE_STREAM
            if key is None or ordering == "none":
                ready.append(delivery)
                continue
            lane = stream.lanes.get(key)
            if lane is None:
                stream.lanes[key] = delivery
                ready.append(delivery)
            elif isinstance(lane, deque):
                lane.append(delivery)
            else:
                stream.lanes[key] = deque((lane, delivery))

    def take(self) -> Delivery:
        """The event that has been ready for longest; it is the taker's until given back."""
        delivery = self.ready.popleft()
        if self._fill_gaps:
            stream = self._streams[delivery.lease]
            if delivery.position > stream.furthest:
                stream.furthest = delivery.position
        return delivery

    def advance(self, delivery: Delivery) -> None:
        """Give an event back that is done: the next one of its lane is ready."""
        stream = self._streams.get(delivery.lease)
        if stream is None:
            return
        key = delivery.key if self._ordering == "key" else _WHOLE_STREAM
        lane = stream.lanes.get(key)
        if lane is delivery:
            del stream.lanes[key]
        elif isinstance(lane, deque) and lane[0] is delivery:
            lane.popleft()
            if lane:
                self.ready.append(lane[0])
            else:
                del stream.lanes[key]

    def again(self, delivery: Delivery, owed: Sequence[Owed]) -> None:
        """Give an event back that must run again, for what it is owed."""
        if delivery.lease in self._streams:
            self.owed[delivery] = owed
            self.ready.append(delivery)

    def holds(self, lease: Lease) -> bool:
        """Whether it has lanes of this lease, so that an event of it may be given back."""
        return lease in self._streams

    def owing(self) -> Mapping[Delivery, Sequence[Owed]]:
        """What those events are owed that ran before, and are ready again."""
        return self.owed

    def has_ready(self, leases: Collection[Lease] | None) -> bool:
        """Whether an event of these leases, None for all, is ready."""
        return any(leases is None or delivery.lease in leases for delivery in self.ready)

    def retire(self, leases: Collection[Lease] | None) -> None:
        """Forget what has not started of these leases, None for all.

        With ``fill_gaps``, what lies before an event that has started stays: as long as it is not
        done, the broker cannot be told that the later one is.
        """
        if leases is None:
            leases = tuple(self._streams)
        if not self._fill_gaps:
            self.drop(leases)
            return
        for stream in self._held(leases):
            stream.cut()
        self._keep_ready(
            delivery
            for delivery in self.ready
            if delivery.lease not in leases
            or delivery.position <= self._streams[delivery.lease].furthest
        )

    def drop(self, leases: Collection[Lease]) -> None:
        """Forget everything of these leases that has not started.

        An event that was taken is its taker's to finish.
        """
        for lease in leases:
            self._streams.pop(lease, None)
        self._keep_ready(delivery for delivery in self.ready if delivery.lease in self._streams)

    def drop_all(self) -> None:
        """Forget everything that has not started."""
        self.drop(tuple(self._streams))

    def _held(self, leases: Collection[Lease]) -> list[LeasedStream]:
        return [self._streams[lease] for lease in leases if lease in self._streams]

    def _keep_ready(self, kept: Iterable[Delivery]) -> None:
        self.ready = deque(kept)
        if self.owed:
            self.owed = {one: self.owed[one] for one in self.ready if one in self.owed}
