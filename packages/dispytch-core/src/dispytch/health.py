"""Whether events really flow."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a listener is, at one moment; `problems` has a sentence for all that is wrong.

    connected: whether the broker answers. intake: whether events are taken in.
    streams: the partitions or queues that it holds. None is no problem by itself: others of the
        group may hold them all.
    lag: how many messages of each of these streams the broker still has to hand out. Of streams
        that others hold, or nobody, it is unknown, and not told.
    in_flight: events received and not settled.
    oldest: for how many seconds the oldest of them has been so; None when there is none.
    last_error: the last failure of a handler, a body or a dead letter, since the start.
    """

    problems: tuple[str, ...] = ()
    connected: bool = False
    intake: bool = False
    streams: tuple[str, ...] = ()
    lag: Mapping[str, int] = field(default_factory=dict[str, int])
    in_flight: int = 0
    oldest: float | None = None
    last_error: str | None = None

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __bool__(self) -> bool:
        """Whether nothing is wrong."""
        return self.healthy
