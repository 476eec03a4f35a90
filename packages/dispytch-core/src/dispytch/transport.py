"""The contract between dispytch and a broker: the page that a backend author reads.

A backend is four classes: `Backend`, which knows how to reach the broker; `Producer`, which sends;
`Consumer`, which receives and settles; and a `dispytch.messages.Lease` with its own bookkeeping.
Acquiring a producer or a consumer returns it connected; there is no half-open object.

Everything runs in one event loop. A backend imports this module, `dispytch.messages`,
`dispytch.topics`, `dispytch.event_config`, `dispytch.exceptions` and `dispytch.printable`, and
nothing else of core.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from dispytch.event_config import EventConfig
from dispytch.messages import Delivery, Lease, Message
from dispytch.topics import TopicPattern

CONTRACT_VERSION = 1
"""Grows whenever a backend made for the older contract would misbehave."""

Declare = Literal["auto", "check", "never"]
"""What a backend does about topics and queues: make what is missing, only check, or not look."""

StartAt = Literal["earliest", "latest"]
"""Where a new group starts: at the oldest message the broker still has, or after the newest."""

CONNECTION = "connection"
"""The name in `Consumer.problems` of a broker that cannot be reached."""

IfUnroutable = Literal["keep", "error", "drop"]
"""What becomes of an event that nobody takes yet: it waits at the broker for whoever comes first,
it is refused with `dispytch.exceptions.Unroutable`, or it is gone."""

OnRevoke = Callable[[Collection[Lease]], Awaitable[None]]
"""Core's part in giving streams up; see `Backend.consumer`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What a backend can do. Core and the tests look at these, never at a backend's name.

    durable: a confirmed message survives the end of every process of the program.
    history: a new group can receive messages that were sent before it existed.
    shared_order: the key order holds while several consumers share a group.
    position_per_stream: the broker remembers one position per stream: what was settled behind a
        delivery that was not comes again when the lease has ended.
    temporary: a `Subscription` may be temporary.
    light_topics: a topic is but a name and leaves nothing at the broker once nobody reads it, so
        that one may be made for a single reader.
    delay: `Producer.send` takes a delay, and keeps it over a restart of the broker.
    wildcards: a subscription may hold patterns, and gets the messages of topics that are made
        later, too.
    rereads: `Backend.reread` finds a message by its position after it was settled, too.
    bounded: a `Subscription` may be bounded.
    hold_limit: how many seconds a delivery may stay unsettled before the broker takes it back;
        None: for ever.
    unroutable: what becomes of a message to a topic that nobody has subscribed to yet, unless it is
        one that `Message.needs_reader`; None: it is not known.
    attribute_prefixes: of the CloudEvents attributes among the headers, as the protocol binding
        for this broker has them: the first is written, all are read.
    broker_headers: how the names of headers begin that the broker itself adds to a message, or
        changes, on its way. A signature does not cover them.
    added_headers: the names of those that a message gets on its way if it has none of that name.
    """

    durable: bool
    history: bool
    shared_order: bool
    position_per_stream: bool = False
    temporary: bool = False
    light_topics: bool = False
    delay: bool = False
    wildcards: bool = False
    rereads: bool = False
    bounded: bool = False
    hold_limit: float | None = None
    unroutable: IfUnroutable | None = None
    attribute_prefixes: tuple[str, ...] = ("ce_",)
    broker_headers: tuple[str, ...] = ()
    added_headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """What must exist at the broker before anything flows: topics and, for a group, its queues.

    patterns: what the group subscribes to beside these topics, as in `Subscription`. Which topics
        they match is not known yet, so there is nothing to make for them but queues.
    carriers: those of the topics that events are sent on to. What fits into one of ``sources``, or
        of the topics that ``source_patterns`` match now, must fit into these, with 64 KiB of
        headers more. One that exists already and is narrower is left as it is: the backend warns,
        and says what to change.
    """

    topics: tuple[str, ...]
    group: str | None = None
    patterns: tuple[TopicPattern, ...] = ()
    carriers: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    source_patterns: tuple[TopicPattern, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What one consumer wants.

    topics: by their names. patterns: every topic that one of them matches as well, those that are
        made later too; only with the feature ``wildcards``. No two of them have one shape.
        However many of both match a topic, each of its messages is handed out once, with the
        topic's own name. What no pattern matches may be handed out too, as where the broker's own
        wildcards are wider: core settles it.
    max_in_flight: at no time are more deliveries than this handed out and unsettled. Every stream
        has an even share of it, at least one, so that a stream that stands still cannot take the
        room of the others.
    drain_timeout: how many seconds `OnRevoke` may take; a broker's own limit on giving a stream
        up must be set above it.
    temporary: the consumer shares with nobody, and ``group`` is but a name for it. It gets all
        that is sent to its topics after it was acquired, and nothing of it is left at the broker
        when it ends. What is sent while its connection is lost may be lost to it. Core asks for
        this only with the feature ``temporary``, without patterns, and for topics that
        `Backend.prepare` has seen, unless there are ``light_topics``.
    bounded: the consumer is the only one of its group, and has it from the start to the end: where
        another consumer is in the group, or has been given messages that are not back yet, it is
        not acquired. It hands out all that its topics hold for the group at that moment, and what
        is sent later perhaps not; then `Consumer.receive` returns an empty batch. When it cannot
        go on to the end, as after a lost connection, `Consumer.receive` raises. Each stream may
        have all of ``max_in_flight``. Core asks for this only with the feature ``bounded``, and
        without patterns.
    """

    group: str
    topics: tuple[str, ...]
    patterns: tuple[TopicPattern, ...] = ()
    max_in_flight: int
    start_at: StartAt = "earliest"
    drain_timeout: float = 30.0
    temporary: bool = False
    bounded: bool = False


class Producer(ABC):
    """Sends messages. Safe to use from any number of tasks at once."""

    @abstractmethod
    async def send(self, messages: Sequence[Message], *, delay: float | None = None) -> None:
        """Send a batch; return once the broker has durably taken all of it.

        delay: how many seconds the broker keeps it back, at least; only with the feature
        ``delay``. Messages of different delays have no order among each other.

        Order: messages of one topic and key reach the broker in the order given; so do those of
        two calls when the second starts after the first has returned.

        Missing topics are treated as the backend's `Declare` mode says.

        Retries what may be retried within the backend's send timeout, over a restart of the
        broker too. A message may reach the broker twice, never out of a kept order.

        Cancellation leaves it open which messages were taken.

        Raises:
            TopologyError: the broker cannot have a topic of that name; nothing was sent.
            SendError: names each message that is not confirmed, with its reason:
                `MessageTooLarge`, `Unroutable`, `SendTimeout`, `BrokerUnreachable`, or another
                `TransportError`. The others are durable.
        """


class Consumer(ABC):
    """Receives and settles the deliveries of one `Subscription`.

    Core has at most one `receive` under way and never cancels it. It may leave long pauses between
    two calls, as when the window is full: staying a member of the group meanwhile, however long a
    handler runs, is the backend's business.
    """

    @abstractmethod
    async def receive(self) -> Sequence[Delivery]:
        """The next deliveries, in the broker's order within each stream.

        Waits until there is at least one, or `stop_receiving` was called: then returns an empty
        batch at once. Takes from all streams in turn: none waits while another is drained.
        Never hands out more than the window of the subscription allows. A lost connection is
        repaired in here, in silence but for a log line, and ends the leases it cost.

        Raises:
            TransportError, ConfigurationError: the consumer cannot go on; the listener ends with
                this error.
        """

    @abstractmethod
    def ack(self, delivery: Delivery) -> None:
        """The delivery's outcome is durable: the broker need not hand it out again.

        Cheap and synchronous; the backend batches, in the background, within a second. Without
        effect when the lease has ended. May be called in any order.
        """

    @abstractmethod
    def nack(self, delivery: Delivery) -> None:
        """Give the delivery back unhandled: it is handed out again, to this group, soon.

        As cheap as `ack`, and as void once the lease has ended. The order among deliveries of
        one key is kept only if those that came later are given back too.
        """

    @abstractmethod
    async def flush(self) -> None:
        """Return once every `ack` and `nack` so far has reached the broker, or its lease ended."""

    @property
    @abstractmethod
    def leases(self) -> Collection[Lease]:
        """What it holds at present; empty while it has nothing to read, or is not connected."""

    @abstractmethod
    async def lag(self) -> Mapping[str, int]:
        """How many messages of each stream in `leases` the broker still has to hand out.

        Those that were handed out and are not settled don't count. A stream whose place is not
        known yet, as just after it was assigned, is left out: what is unknown is never zero.

        Raises:
            TransportError: the broker does not answer.
        """

    @property
    def problems(self) -> Mapping[str, str]:
        """All that keeps messages from flowing right now, which core cannot see for itself.

        From a name, which stays the same while the problem lasts, to one sentence with the reason:
        that the broker cannot be reached (`CONNECTION`), that a stream cannot be read, that
        settlements fail, that nothing is assigned although there is something to read. Core asks
        about once a second, shows the sentences in its health, and logs when one begins and ends;
        so this does no I/O, and has nothing in it while all is well.
        """
        return {}

    @abstractmethod
    def pause(self, lease: Lease) -> None:
        """Hand out nothing of this stream until `resume`. Membership and lease are kept."""

    @abstractmethod
    def resume(self, lease: Lease) -> None:
        """Hand out deliveries of this stream again; those held back come first, none is lost."""

    @abstractmethod
    def stop_receiving(self) -> None:
        """Hand out nothing more, for good; `receive` returns empty. Settling goes on.

        What was fetched and never handed out stays with the broker.
        """


class Backend(ABC):
    """How to reach one broker. Making it does no I/O and validates its configuration.

    Third parties publish one under the entry-point group ``dispytch.backends``, named after its
    URL scheme.
    """

    contract: ClassVar[int] = CONTRACT_VERSION
    """The `CONTRACT_VERSION` it was written for: spell the number out in a published backend."""

    event_config: ClassVar[type[EventConfig] | None] = None
    """The class of `__backend_config__` that this backend reads, if it has one."""

    features: ClassVar[Features]

    @classmethod
    @abstractmethod
    def from_url(cls, url: str) -> Self:
        """A backend from ``scheme://user:password@host:port/path?option=value``.

        Raises:
            ConfigurationError: the URL or an option in it is wrong; the text names the part.
        """

    @property
    def send_timeout(self) -> float:
        """How many seconds `Producer.send` may take in all."""
        return 30.0

    @abstractmethod
    async def ping(self) -> None:
        """Return if the broker answers.

        Raises:
            BrokerUnreachable: no answer within the backend's connect timeout.
        """

    @abstractmethod
    async def prepare(self, topology: Topology) -> None:
        """Make, check or leave alone what `topology` names, as the `Declare` mode says.

        May be called again with the same topology; changes nothing that exists.

        Raises:
            TopologyError: the broker refuses a name, or something is missing and may not be made;
                its ``topic`` says which, so that core can name the handlers.
            BrokerUnreachable: no answer within the connect timeout.
        """

    async def reread(self, stream: str, position: int) -> Message | None:
        """The message at a position of a stream, settled or not; None when it is gone.

        It is gone, too, where nothing of it can be read.

        Only with the feature ``rereads``. ``stream`` and ``position`` are those of a delivery. It
        changes nothing for any group.

        Raises:
            TransportError: the broker does not answer.
        """
        raise NotImplementedError(f"{type(self).__name__} declares rereads=True and has no reread")

    @abstractmethod
    def producer(self) -> AbstractAsyncContextManager[Producer]:
        """A connected producer; leaving the context waits for what is being sent.

        Raises, on entering:
            BrokerUnreachable: no connection within the connect timeout.
        """

    @abstractmethod
    def consumer(
        self, subscription: Subscription, on_revoke: OnRevoke
    ) -> AbstractAsyncContextManager[Consumer]:
        """A connected consumer, a member of its group; leaving the context leaves the group.

        Before a stream is given up (a rebalance; not the consumer's own end, for which core
        has drained already) the backend stops handing out its deliveries, awaits
        ``on_revoke(leases)`` while acks still count, flushes, and only then ends those leases.
        When a stream is lost without warning (a dead connection) the leases end at once and
        `OnRevoke` is called all the same, so that core drops what has not started.

        Deliveries that are unsettled when the context is left stay with the broker and come
        again, to this group.

        Raises, on entering:
            BrokerUnreachable: no connection within the connect timeout.
            TopologyError: a topic or queue is missing.
            GroupTaken: the subscription is bounded, and another consumer is in the group.
        """
