"""How events are put together for a handler that takes several at once."""

from dataclasses import dataclass
from math import inf
from typing import Final, Literal, get_args

from dispytch.exceptions import ConfigurationError

By = Literal["topic", "key"]
"""What the events of one batch have in common."""

_BY: Final = get_args(By)


@dataclass(frozen=True, slots=True)
class Batch:
    """Has a handler take ``list[Event[Body]]``: ``handler(topic=..., batch=Batch(100, wait=0.5))``.

    A batch is handed out once it has ``size`` events, or its first one has waited for ``wait``
    seconds, or the listener's window has no room for more. Its events come from one partition or
    queue, in its order.

    The events that fail are handed out again, without the others and without new ones, and the
    next batch begins when all of this one are settled: order per key is kept from batch to batch.
    It is not kept within a batch some of which fail: a failed event comes again after the later
    ones of its key that were in the batch with it.

    A batch that is still filling when the listener stops is left to the broker, as all that has not
    started is.

    size: how many events a batch has at most.
    wait: seconds that the first event waits for others; with 0, what is there is taken.
    by: ``"topic"``: a batch has events of any key, and there is one at a time of each partition or
        queue. ``"key"``: a batch has events of one key, beside those of other keys; events without
        a key make up batches among themselves. With ``ordering="none"`` nothing waits for the batch
        before.

    Raises:
        ConfigurationError: a value that makes no sense; the text names it.
    """

    size: int
    wait: float = 0.5
    by: By = "topic"

    def __post_init__(self) -> None:
        _require(type(self.size) is int and self.size >= 1, "size must be at least 1", self.size)
        _require(
            type(self.wait) in (int, float) and 0 <= self.wait < inf,
            "wait must be seconds, and not negative",
            self.wait,
        )
        _require(self.by in _BY, "by must be 'topic' or 'key'", self.by)


def _require(met: bool, text: str, value: object) -> None:
    if not met:
        raise ConfigurationError(f"Batch: {text}, not {value!r}")
