# pyright: basic
"""What this package uses of the driver, as types: aiokafka has no complete ones."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from aiokafka.abc import (  # type: ignore[import-untyped,unused-ignore]
    AbstractTokenProvider,
)

if TYPE_CHECKING:

    class TopicPartition(NamedTuple):
        """A topic's name and the number of a partition."""

        topic: str
        partition: int

    class TokenProvider(Protocol):
        """Gives tokens for SASL OAUTHBEARER: a subclass of aiokafka's `AbstractTokenProvider`."""

        async def token(self) -> str:
            """A token that has not expired."""
            ...

else:
    from aiokafka.structs import TopicPartition

    TokenProvider = AbstractTokenProvider


class Record(Protocol):
    """A record as it was fetched."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


PutOff = Callable[[float], None]
"""Has a partition be fetched again only after so many seconds, and others meanwhile."""


class Reading(Protocol):
    """How a consumer reads what it fetches, and who is told of what it cannot fetch."""

    def records(
        self,
        partition: TopicPartition,
        chunk: bytes,
        *,
        offset: int,
        aborted: Sequence[tuple[int, int]],
        put_off: PutOff,
    ) -> Iterable[Record]:
        """The records of what was fetched from this offset on; reads as it is iterated.

        Its ``next_fetch_offset`` says from where on to fetch after the last one taken.
        """
        ...

    def failed(
        self, partition: TopicPartition, offset: int, error: BaseException, put_off: PutOff
    ) -> None:
        """A fetch from this offset on has brought nothing but an error; it is tried again."""
        ...

    def expired(self, partition: TopicPartition, offset: int) -> None:
        """The broker does not have this offset any more, or not yet."""
        ...


class Requests(Protocol):
    """Who is told of the requests to brokers."""

    def begun(self, *, patient: bool) -> Callable[[BaseException | None], None]:
        """One is on its way; what is returned is called when it has ended, with its error.

        patient: the broker may take its time to answer.
        """
        ...


class Client(Protocol):
    """What all clients of the driver can do."""

    async def start(self) -> None:
        """Connect to a bootstrap server."""
        ...


class ConsumerClient(Client, Protocol):
    """A member of a group."""

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        """Read these, in no group."""
        ...

    def subscribe(
        self, topics: Sequence[str] = (), *, pattern: str | None = None, listener: Any
    ) -> None:
        """Join the group in the background, for these topics or those that a pattern matches."""
        ...

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int, max_records: int | None = None
    ) -> Mapping[TopicPartition, list[Record]]:
        """Fetched records, of all partitions when none is named. Must not be cancelled."""
        ...

    def hurry(self, hurried: bool) -> None:
        """Have fetches that find nothing return soon, or after `FETCH_WAIT_MS` again.

        The driver has one request under way, for the partitions of which it holds nothing; those
        that come to be among them have to wait until that one has returned.
        """
        ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit; tries again without end."""
        ...

    async def committed(self, partition: TopicPartition) -> int | None:
        """What the group has committed."""
        ...

    async def position(self, partition: TopicPartition) -> int:
        """The offset of the next record."""
        ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Have `getmany` go on from here; what was fetched already is discarded."""
        ...

    async def seek_to_end(self, partition: TopicPartition) -> bool:
        """Have `getmany` go on after the last record; returns when that place is known."""
        ...

    async def end_offsets(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """The offsets after the last records, but for those of open transactions."""
        ...

    async def stop(self) -> None:
        """Leave the group."""
        ...


class Batch(Protocol):
    """Records for one partition, on their way to become one request."""

    def append(
        self,
        *,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes | None]],
    ) -> object | None:
        """Add a record; None when the batch is full."""
        ...

    def size(self) -> int:
        """In bytes."""
        ...


class ProducerClient(Client, Protocol):
    """An idempotent producer."""

    async def partitions_for(self, topic: str) -> set[int]:
        """The numbers of a topic's partitions; waits until they are known."""
        ...

    def create_batch(self) -> Batch:
        """An empty batch."""
        ...

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> Awaitable[object]:
        """Hand a batch over; what is returned waits for the broker's confirmation."""
        ...

    async def stop(self) -> None:
        """Send what is left and close."""
        ...


class AdminClient(Client, Protocol):
    """Describes and makes topics."""

    async def describe_topics(self, topics: list[str]) -> list[dict[str, Any]]:
        """Their error codes and partitions."""
        ...

    async def describe_consumer_groups(self, group_ids: list[str]) -> list[Any]:
        """Answers with their members."""
        ...

    async def create_topics(self, new_topics: list[Any]) -> Any:
        """Make topics; the answer has an error code for each."""
        ...

    async def list_topics(self) -> list[str]:
        """The names of all topics."""
        ...

    async def describe_configs(self, config_resources: list[Any]) -> list[Any]:
        """The settings of topics."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class Rebalanced(Protocol):
    """Who is told of a rebalance."""

    async def on_revoked(self) -> None:
        """All partitions are about to be given up."""
        ...

    async def on_assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """These, and only these, are held now."""
        ...
