"""One handler, ready to run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dispytch.batch import Batch, NextBatch
from dispytch.dead_letters import FailurePolicy
from dispytch.envelope import Envelope
from dispytch.middleware import Next
from dispytch.retry import RetryPolicy
from dispytch.routing.answering import Answering
from dispytch.topics import TopicPattern, one_name

Decode = Callable[[Envelope], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Batching:
    """How one handler takes several events at once: put together so, and run by this."""

    batch: Batch
    run: NextBatch


@dataclass(eq=False, slots=True, kw_only=True)
class Route:
    """A handler with everything around it: body, dependencies, middlewares and policies.

    ``topic`` is as it was written; ``pattern`` is None where that is the name of one topic.
    ``topic_name`` stands for all the topics that it takes, see `one_name`. ``identity`` is the same
    for the routes of one handler.

    ``decode`` gives the body that this handler asks for; ``run`` takes an event that has it.
    ``decode`` raises `DecodeError` or `BodyInvalid` when it cannot be had from these bytes, and
    `Unresolved` when somebody has to be asked first. Where no parameter asks for a body,
    ``reads_body`` is false, and the body is None. ``answering`` is None for a handler that
    answers no requests. ``batching`` is None for one that takes one event at a time; where it takes
    several, ``run`` takes an event alone, as a batch of one.
    """

    name: str
    topic: str
    event: str | None
    decode: Decode
    run: Next
    retry: RetryPolicy
    dead_letter: FailurePolicy
    timeout: float | None
    answering: Answering | None = None
    batching: Batching | None = None
    reads_body: bool = True
    identity: object = field(default_factory=object)
    pattern: TopicPattern | None = field(init=False)
    topic_name: str = field(init=False)

    def __post_init__(self) -> None:
        self.pattern = TopicPattern.of(self.topic)
        self.topic_name = one_name(self.topic)
