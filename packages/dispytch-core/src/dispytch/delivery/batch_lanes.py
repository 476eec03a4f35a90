"""Lanes that hand out several events at once. Pure bookkeeping, told of the time by others."""

from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence

from dispytch.clock import Timer
from dispytch.delivery.attempt import Owed
from dispytch.delivery.lanes import Lanes, LeasedStream, Ordering
from dispytch.messages import Delivery, Lease
from dispytch.routing import Batching

Taken = dict[Delivery, Sequence[Owed] | None]
"""Events of a batch, in their order, each with what it is owed; None if nothing is known yet."""


class BatchLane:
    """A lane whose events are handed out several at a time.

    ``first`` is the first of those that are handed out, or will be; ``behind`` are the others.
    ``taken`` is the batch that is handed out, or what of it is not done: until nothing is left,
    nothing else of the lane is handed out. Before that, the lane is *filling*. One that is
    ``hurried`` waits for no more events. One that is ``gone`` holds nothing any more, but for the
    batch that its taker is busy with.
    """

    __slots__ = (
        "alarm",
        "batching",
        "behind",
        "first",
        "gone",
        "hurried",
        "key",
        "stream",
        "taken",
    )

    def __init__(
        self, stream: "BatchStream", key: Hashable, first: Delivery, batching: Batching
    ) -> None:
        self.stream: BatchStream = stream
        self.key: Hashable = key
        self.first: Delivery = first
        self.batching: Batching = batching
        self.behind: deque[Delivery] = deque()
        self.taken: Taken = {}
        self.hurried: bool = False
        self.gone: bool = False
        self.alarm: Timer | None = None

    @property
    def is_full(self) -> bool:
        """Whether it holds a whole batch."""
        return 1 + len(self.behind) >= self.batching.batch.size

    def take(self) -> None:
        """Take what is left of a batch, or the next one."""
        if not self.taken:
            count = min(self.batching.batch.size - 1, len(self.behind))
            others = [self.behind.popleft() for _ in range(count)]
            self.taken = dict.fromkeys([self.first, *others])

    def keep(self, left: Taken) -> bool:
        """Keep what is left of the batch, or go on to the next one; whether there is anything."""
        self.taken = left
        if left:
            self.first = next(iter(left))
        elif self.behind:
            self.first = self.behind.popleft()
        else:
            return False
        return True

    def cut(self, furthest: int) -> None:
        """Forget what lies beyond a position, and hurry with what is left."""
        self.hurried = True
        behind = self.behind
        while behind and behind[-1].position > furthest:
            behind.pop()
        self.gone = self.gone or (not behind and self.first.position > furthest)


class BatchStream(LeasedStream):
    """A leased stream with batch lanes, beside those that hand out single events.

    held: how many events are in them. filling: those that fill. busy: how many are ready, or with
    whoever took them.
    """

    __slots__ = ("batches", "busy", "filling", "held")

    def __init__(self, lease: Lease) -> None:
        super().__init__(lease)
        self.batches: dict[Hashable, BatchLane] = {}
        self.held: int = 0
        self.busy: int = 0
        self.filling: dict[BatchLane, None] = {}

    def cut(self) -> None:
        """Forget what lies beyond the furthest event that has started."""
        super().cut()
        for lane in self.batches.values():
            lane.cut(self.furthest)


class BatchLanes(Lanes):
    """Lanes some of which hand out batches.

    The first event of a batch stands for all of it: it is ready, and it is taken; then `begin`
    tells which lane it is of. A batch lane is filling before it is ready: until it has a whole
    batch, or `ripen` is called, or its stream has as many events as it can have and none of them is
    about to be done.

    batching_of: of the handler that takes this event in batches; None: it is run by itself.
    share: how many events a stream can have that are not settled.
    set_alarm: have `ripen` called with a lane once its first event has waited long enough; None
        when it has.
    """

    _streams: dict[Lease, BatchStream]  # type: ignore[assignment]

    def __init__(
        self,
        ordering: Ordering,
        *,
        batching_of: Callable[[Delivery], Batching | None],
        share: Callable[[], int],
        set_alarm: Callable[[BatchLane], Timer | None],
        fill_gaps: bool = False,
    ) -> None:
        super().__init__(ordering, fill_gaps=fill_gaps)
        self._batching_of = batching_of
        self._share = share
        self._set_alarm = set_alarm
        self._ready_lanes: dict[Delivery, BatchLane] = {}

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Put deliveries behind those of their lane."""
        alone: list[Delivery] = []
        changed: dict[BatchStream, None] = {}
        for delivery in deliveries:
            stream = self._streams.get(delivery.lease)
            if stream is None:
                stream = self._streams[delivery.lease] = BatchStream(delivery.lease)
            batching = self._batching_of(delivery)
            if batching is None:
                alone.append(delivery)
            else:
                self._put(stream, delivery, batching)
                changed[stream] = None
        super().add(alone)
        for stream in changed:
            self._hurry_if_full(stream)

    def begin(self, first: Delivery) -> BatchLane | None:
        """Take the batch that a taken event stands for; None: it is a single event."""
        lane = self._ready_lanes.pop(first, None)
        if lane is not None:
            lane.take()
            last = next(reversed(lane.taken))
            lane.stream.furthest = max(lane.stream.furthest, last.position)
        return lane

    def give_back(self, lane: BatchLane, left: Taken) -> None:
        """Give a batch lane back with what is not done of its batch; if anything, see `resume`."""
        if lane.gone:
            return
        stream = lane.stream
        stream.busy -= 1
        stream.held -= len(lane.taken) - len(left)
        if not lane.keep(left):
            if lane.key is not None:
                del stream.batches[lane.key]
        elif not left:
            self._fill(lane)
        self._hurry_if_full(stream)

    def resume(self, lane: BatchLane) -> None:
        """Have a lane hand out what is left of its batch."""
        if not lane.gone and lane.stream.lease in self._streams:
            self._make_ready(lane)

    def ripen(self, lane: BatchLane) -> None:
        """Have a lane that is filling be ready; without effect on others."""
        if self._stop_filling(lane):
            self._fill_no_more(lane)

    def owing(self) -> Mapping[Delivery, Sequence[Owed]]:
        """What those events are owed that ran before, and are ready again, in batches or alone."""
        again = [lane.taken for lane in self._ready_lanes.values()]
        return {
            **self.owed,
            **{delivery: owed for taken in again for delivery, owed in taken.items() if owed},
        }

    def retire(self, leases: Collection[Lease] | None) -> None:
        """Forget what has not started; what must be run to fill a gap waits for no more events."""
        if leases is None:
            leases = tuple(self._streams)
        for lane in self._ready_lanes.values():
            if self._fill_gaps and lane.stream.lease in leases:
                lane.cut(lane.stream.furthest)
        super().retire(leases)
        for stream in self._held_batches(leases):
            for lane in tuple(stream.filling):
                if lane.gone:
                    self._stop_filling(lane)
                else:
                    self.ripen(lane)

    def drop(self, leases: Collection[Lease]) -> None:
        """Forget everything of these leases that has not started."""
        for stream in self._held_batches(leases):
            for lane in tuple(stream.filling):
                self._stop_filling(lane)
            for lane in stream.batches.values():
                lane.gone = True
        super().drop(leases)

    def _put(self, stream: BatchStream, delivery: Delivery, batching: Batching) -> None:
        stream.held += 1
        by_topic = batching.batch.by == "topic"
        key: Hashable = batching if by_topic else (batching, delivery.key)
        lane = stream.batches.get(key)
        if lane is None:
            lane = stream.batches[key] = BatchLane(stream, key, delivery, batching)
            self._fill(lane)
        else:
            lane.behind.append(delivery)
            if lane.alarm is not None and lane.is_full:
                self.ripen(lane)

    def _fill(self, lane: BatchLane) -> None:
        """Have a lane wait for more events, unless it has enough or has waited enough."""
        if not (lane.hurried or lane.is_full):
            lane.alarm = self._set_alarm(lane)
            if lane.alarm is not None:
                lane.stream.filling[lane] = None
                return
        self._fill_no_more(lane)

    def _fill_no_more(self, lane: BatchLane) -> None:
        if self._ordering == "none" and lane.key is not None:
            # What comes from now on need not wait for this batch.
            del lane.stream.batches[lane.key]
            lane.key = None
        self._make_ready(lane)

    def _make_ready(self, lane: BatchLane) -> None:
        lane.stream.busy += 1
        self._ready_lanes[lane.first] = lane
        self.ready.append(lane.first)

    def _stop_filling(self, lane: BatchLane) -> bool:
        """Whether it was filling."""
        if lane.alarm is None:
            return False
        lane.alarm.cancel()
        lane.alarm = None
        del lane.stream.filling[lane]
        return True

    def _hurry_if_full(self, stream: BatchStream) -> None:
        if stream.filling and not stream.busy and stream.held >= self._share():
            for lane in tuple(stream.filling):
                self.ripen(lane)

    def _held_batches(self, leases: Collection[Lease]) -> list[BatchStream]:
        return [self._streams[lease] for lease in leases if lease in self._streams]

    def _keep_ready(self, kept: Iterable[Delivery]) -> None:
        super()._keep_ready(kept)
        lanes = self._ready_lanes
        self._ready_lanes = {first: lanes[first] for first in self.ready if first in lanes}
