"""Lanes: which event may run next. Pure bookkeeping, no clock and no tasks."""

from collections import deque
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Literal

from dispytch.delivery.attempt import Owed
from dispytch.messages import Delivery, Lease

Ordering = Literal["key", "partition", "none"]
"""What is kept in order: the events of one key, of one stream, or nothing."""

_WHOLE_STREAM = b""


class Lane:
    """Events that run one at a time, in order: those of one key on one stream.

    ``first`` runs next, or now; ``behind`` are the others. ``owed`` is what the first one still has
    to have before it is done, when that is known. A lane that is ``gone`` holds nothing any more,
    but for the event that its taker is busy with.
    """

    __slots__ = ("behind", "first", "gone", "key", "owed", "stream")

    def __init__(self, stream: "LeasedStream", key: Hashable, first: Delivery) -> None:
        self.stream: LeasedStream = stream
        self.key: Hashable = key
        self.first: Delivery = first
        # Most lanes never hold a second event, and an empty deque costs as much as all the rest.
        self.behind: deque[Delivery] | None = None
        self.owed: Sequence[Owed] | None = None
        self.gone: bool = False

    @property
    def lease(self) -> Lease:
        """The hold on the stream that its events came through."""
        return self.stream.lease

    def append(self, delivery: Delivery) -> None:
        """Put an event behind the others."""
        if self.behind is None:
            self.behind = deque()
        self.behind.append(delivery)

    def cut(self, furthest: int) -> bool:
        """Forget what lies beyond a position; whether anything is left."""
        behind = self.behind
        while behind and behind[-1].position > furthest:
            behind.pop()
        self.gone = self.gone or (not behind and self.first.position > furthest)
        return not self.gone


class LeasedStream:
    """The lanes of one lease, by key, and the furthest position of an event that has started."""

    __slots__ = ("furthest", "lanes", "lease")

    def __init__(self, lease: Lease) -> None:
        self.lease: Lease = lease
        self.lanes: dict[Hashable, Lane] = {}
        self.furthest: int = -1


class Lanes:
    """All lanes that have events. A lane is *ready*, or with whoever took it.

    A taken lane is given back by `advance`, when its first event is done, or by `again`, when that
    event must run once more; whoever takes a lane decides when. A lane of a dropped lease is gone:
    giving it back has no effect.

    fill_gaps: have `retire` keep what lies before an event that has started, for a broker that
        remembers one position per stream.
    """

    def __init__(self, ordering: Ordering, *, fill_gaps: bool = False) -> None:
        self.ready: deque[Lane] = deque()
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
                ready.append(Lane(stream, None, delivery))
                continue
            lane = stream.lanes.get(key)
            if lane is not None:
                lane.append(delivery)
            else:
                stream.lanes[key] = lane = Lane(stream, key, delivery)
                ready.append(lane)

    def take(self) -> Lane:
        """The lane that has been ready for longest; it is the taker's until given back."""
        lane = self.ready.popleft()
        position, stream = lane.first.position, lane.stream
        if position > stream.furthest:
            stream.furthest = position
        return lane

    def advance(self, lane: Lane) -> None:
        """Give a lane back whose first event is done."""
        if lane.gone:
            return
        lane.owed = None
        if lane.behind:
            lane.first = lane.behind.popleft()
            self.ready.append(lane)
        elif lane.key is not None:
            del lane.stream.lanes[lane.key]

    def again(self, lane: Lane) -> None:
        """Give a lane back whose first event must run again."""
        if not lane.gone and lane.lease in self._streams:
            self.ready.append(lane)

    def has_ready(self, leases: Collection[Lease] | None) -> bool:
        """Whether a lane of these leases, None for all, is ready."""
        return any(leases is None or lane.lease in leases for lane in self.ready)

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
        for stream in [self._streams[lease] for lease in leases if lease in self._streams]:
            for lane in stream.lanes.values():
                lane.cut(stream.furthest)
        self._keep_ready(
            lane
            for lane in self.ready
            if lane.lease not in leases or lane.cut(lane.stream.furthest)
        )

    def drop(self, leases: Collection[Lease]) -> None:
        """Forget everything of these leases that has not started.

        The event that a taken lane is busy with is its taker's to finish.
        """
        for lease in leases:
            stream = self._streams.pop(lease, None)
            for lane in stream.lanes.values() if stream is not None else ():
                lane.gone = True
        self._keep_ready(lane for lane in self.ready if lane.lease in self._streams)

    def drop_all(self) -> None:
        """Forget everything that has not started."""
        self.drop(tuple(self._streams))

    def _keep_ready(self, lanes: Iterable[Lane]) -> None:
        kept = list(lanes)
        self.ready.clear()
        self.ready.extend(kept)
