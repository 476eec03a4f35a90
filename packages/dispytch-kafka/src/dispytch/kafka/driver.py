# pyright: basic
# aiokafka has no complete types. What is used of it is named in `driver_types`; the rest of the
# package never sees an untyped value, nor a private name of the driver.
"""The driver, as this package uses it: the only file that knows its private names."""

import asyncio
import contextlib
import time
from collections.abc import Collection, Coroutine, Iterable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Final

from aiokafka import (  # type: ignore[import-untyped,unused-ignore]
    AIOKafkaConsumer,
    AIOKafkaProducer,
    codec,
    errors,
)
from aiokafka.abc import (  # type: ignore[import-untyped,unused-ignore]
    ConsumerRebalanceListener,
)
from aiokafka.admin import (  # type: ignore[import-untyped,unused-ignore]
    AIOKafkaAdminClient,
    NewTopic,
)
from aiokafka.admin.config_resource import (  # type: ignore[import-untyped,unused-ignore]
    ConfigResource,
    ConfigResourceType,
)
from aiokafka.client import ConnectionGroup  # type: ignore[import-untyped,unused-ignore]
from aiokafka.consumer.fetcher import (  # type: ignore[import-untyped,unused-ignore]
    Fetcher,
    FetchResult,
    OffsetResetStrategy,
)
from aiokafka.coordinator.assignors.roundrobin import (  # type: ignore[import-untyped,unused-ignore]
    RoundRobinPartitionAssignor,
)
from aiokafka.partitioner import DefaultPartitioner  # type: ignore[import-untyped,unused-ignore]
from aiokafka.producer.message_accumulator import (  # type: ignore[import-untyped,unused-ignore]
    BatchBuilder,
)
from aiokafka.protocol.group import (  # type: ignore[import-untyped,unused-ignore]
    JoinGroupRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
)
from aiokafka.record.default_records import (  # type: ignore[import-untyped,unused-ignore]
    DefaultRecordBatch,
    DefaultRecordBatchBuilder,
    _DefaultRecordBatchBuilderPy,
)
from aiokafka.util import commit_structure_validate  # type: ignore[import-untyped,unused-ignore]

from dispytch.kafka.driver_types import (
    AdminClient,
    Batch,
    ConsumerClient,
    ProducerClient,
    Reading,
    Rebalanced,
    Record,
    Requests,
    TopicPartition,
)

FETCH_WAIT_MS: Final = 200
"""For how long the broker keeps a fetch back that finds no records."""

_PATIENT: Final = (JoinGroupRequest, SyncGroupRequest)
"""The requests that the broker answers when all members of the group have come."""

_PARTS_WITH_REPLICA: Final = 4
_JOIN_LOOK_SECONDS: Final = 0.05
_HURRIED_WAIT_MS: Final = 20
_LOOK_SECONDS: Final = 0.2
_HURRIED_LOOK_SECONDS: Final = 0.005
"""After which the driver looks at the latest what it may fetch, if nothing has told it to."""


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc,unused-ignore]
    def __init__(self, told: Rebalanced) -> None:
        self._told = told

    async def on_partitions_revoked(self, revoked: object) -> None:
        await self._told.on_revoked()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._told.on_assigned(assigned)


class _Fetcher(Fetcher):  # type: ignore[misc,unused-ignore]
    """The driver's fetcher, with another way to read what it has fetched.

    Its own gives a partition up at the first batch that it cannot read, and tells of no error.
    """

    reading: Reading

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        asked = {
            TopicPartition(topic, number): offset
            for topic, partitions in request.topics
            for number, offset, _ in partitions
        }
        try:
            response: Any = await self._client.send(node_id, request)
        except Exception as error:
            self._invalidate_preferred_read_replica_for_node(node_id, request)
            for partition, offset in asked.items() if assignment.active else ():
                # It is the node that does not answer: they wait together, and not for longer.
                self.reading.failed(partition, offset, error, _put_nothing_off)
            await asyncio.sleep(self._retry_backoff)
            return False
        except asyncio.CancelledError:
            # The client is closed, or the partitions are others' now.
            return False
        has_news = False
        for topic, partitions in response.topics if assignment.active else ():
            for number, *answer in partitions:
                partition = TopicPartition(topic, number)
                state = assignment.state_value(partition)
                # A seek may have come between.
                if state.has_valid_position and state.position == asked[partition]:
                    try:
                        has_news |= self._take(assignment, partition, answer)
                    except Exception as error:
                        self._failed(assignment, partition, state.position, error)
        return has_news

    def _take(self, assignment: Any, partition: TopicPartition, answer: Sequence[Any]) -> bool:
        """Keep what was fetched of a partition; whether there is something to be had now."""
        code, highwater, stable, *rest = answer
        if code != 0:
            return self._refused(assignment, partition, errors.for_code(code))
        state = assignment.state_value(partition)
        state.highwater, state.lso, state.timestamp = highwater, stable, int(1000 * time.time())
        aborted, chunk = self._parts(partition, rest)
        records = self.reading.records(
            partition,
            chunk,
            offset=state.position,
            aborted=aborted,
            put_off=partial(_put_off, state),
        )
        if chunk:
            self._records[partition] = FetchResult(
                partition,
                assignment=assignment,
                partition_records=records,
                backoff=self._prefetch_backoff,
            )
        return bool(chunk)

    def _parts(self, partition: TopicPartition, rest: Sequence[Any]) -> tuple[Any, bytes]:
        """The aborted transactions and the records, where each version of the answer has them."""
        if len(rest) == _PARTS_WITH_REPLICA:
            _, aborted, replica, chunk = rest
            self._update_preferred_read_replica(partition, replica)
        else:
            *_, aborted, chunk = rest
        return aborted or (), chunk or b""

    def _refused(self, assignment: Any, partition: TopicPartition, error: Any) -> bool:
        state = assignment.state_value(partition)
        replicas: dict[Any, Any] = self._preferred_read_replica
        replicas.pop(partition, None)
        if error is errors.OffsetOutOfRangeError:
            self.reading.expired(partition, state.position)
            state.await_reset(OffsetResetStrategy.EARLIEST)
            return False
        if error is errors.TopicAuthorizationFailedError:
            self._set_error(partition, error(partition.topic))
            return True
        self._client.force_metadata_update()
        self._failed(assignment, partition, state.position, error())
        return False

    def _failed(
        self, assignment: Any, partition: TopicPartition, offset: int, error: Exception
    ) -> None:
        state = assignment.state_value(partition)
        self.reading.failed(partition, offset, error, partial(_put_off, state))


def _put_nothing_off(_: float) -> None:
    """What fails waits elsewhere."""


def _put_off(state: Any, seconds: float) -> None:
    state.pause()
    asyncio.get_running_loop().call_later(seconds, state.resume)


class _Consumer(AIOKafkaConsumer):  # type: ignore[misc,unused-ignore]
    """The driver's consumer, which reads whatever it fetches, and whose fetches can be hurried.

    It commits until a rebalance has really begun: when the driver finds another topic that a
    pattern matches, it forgets what it is assigned at once, and only then has the rebalance follow.
    Until that has told of what is revoked, the group still takes commits for it, and the driver's
    own way refuses them.
    """

    def __init__(self, *, reading: Reading, requests: Requests, **options: Any) -> None:
        super().__init__(**options)
        self._reading = reading
        send: Any = self._client.send

        async def told(node_id: int, request: Any, **more: Any) -> Any:
            ended = requests.begun(patient=isinstance(request, _PATIENT))
            try:
                answer = await send(node_id, request, **more)
            except BaseException as error:
                ended(error)
                raise
            ended(None)
            return answer

        self._client.send = told

    async def start(self) -> None:
        await super().start()
        self.read_leniently()

    def read_leniently(self) -> None:
        """Have the fetcher read as ours does. It makes its own, and fetches nothing before this."""
        fetcher: Any = self._fetcher
        fetcher.reading = self._reading
        fetcher.__class__ = _Fetcher

    def hurry(self, hurried: bool) -> None:
        fetcher: Any = self._fetcher
        fetcher._fetch_max_wait_ms = _HURRIED_WAIT_MS if hurried else FETCH_WAIT_MS
        # Records that are taken in the very moment when a request returns make the driver look
        # too early, when it still takes the request for one under way, and then not for a while.
        fetcher._fetcher_timeout = _HURRIED_LOOK_SECONDS if hurried else _LOOK_SECONDS

    async def commit(self, offsets: Any = None) -> None:
        state = self._subscription
        between = (
            state.subscribed_pattern and state.subscription and not state.subscription.assignment
        )
        if offsets and between:
            coordinator: Any = self._coordinator
            await coordinator.commit_offsets(None, commit_structure_validate(offsets))
        else:
            await super().commit(offsets)


class _Name(str):
    """A header's name, some bytes of which are not UTF-8."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> bytes:
        return super().encode(encoding, "surrogateescape")


class _Batch(BatchBuilder):  # type: ignore[misc,unused-ignore]
    """The driver's batch, which takes headers with names that are not UTF-8 as well.

    The driver's fast builder refuses them. From the first one on, its slow one takes all.
    """

    _packing: tuple[int, int] = (0, 0)
    _builder: Any

    def append(
        self,
        *,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[Any] = (),
    ) -> Any:
        given: dict[str, Any] = {"timestamp": timestamp, "key": key, "value": value}
        if type(self._builder) is DefaultRecordBatchBuilder:
            try:
                return super().append(headers=headers, **given)
            except UnicodeEncodeError:
                if self._relative_offset:
                    # It begins the next batch.
                    self.close()
                    return None
                size, compression = self._packing
                self._builder = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, 0, size)
        return super().append(headers=[(_Name(name), one) for name, one in headers], **given)

    def _set_producer_state(self, *state: int) -> None:
        self._builder.set_producer_state(*state)


class _Producer(AIOKafkaProducer):  # type: ignore[misc,unused-ignore]
    """The driver's producer, with batches of ours."""

    def create_batch(self) -> _Batch:
        made: Any = super().create_batch()
        of: Any = self._message_accumulator
        made._packing = (of._batch_size, of._compression_type)
        made.__class__ = _Batch
        return made  # type: ignore[no-any-return,unused-ignore]


def consumer_client(*, reading: Reading, requests: Requests, **options: Any) -> ConsumerClient:
    """A consumer that commits nothing by itself and sees no aborted transactions.

    Round robin shares out all partitions of all topics evenly, where the range assignor gives the
    first member more of each topic. Every rebalance of the driver revokes everything, so a sticky
    one would spare no drain.
    """
    return _Consumer(  # type: ignore[no-any-return,unused-ignore]
        enable_auto_commit=False,
        isolation_level="read_committed",
        partition_assignment_strategy=(RoundRobinPartitionAssignor,),
        reading=reading,
        requests=requests,
        **options,
    )


def rebalance_listener(told: Rebalanced) -> object:
    """What `ConsumerClient.subscribe` takes as its listener."""
    return _Listener(told)


def producer_client(**options: Any) -> ProducerClient:
    """An idempotent producer, so every batch is confirmed by all replicas that are in sync."""
    return _Producer(  # type: ignore[no-any-return,unused-ignore]
        enable_idempotence=True, acks="all", **options
    )


def admin_client(**options: Any) -> AdminClient:
    """An admin client."""
    return AIOKafkaAdminClient(**options)  # type: ignore[no-any-return,unused-ignore]


def new_topic(
    name: str,
    partitions: int | None,
    replication_factor: int | None,
    max_message_bytes: int | None = None,
) -> object:
    """A topic to be made; the broker decides on what is None."""
    settings = {} if max_message_bytes is None else {_MAX_MESSAGE_BYTES: str(max_message_bytes)}
    if partitions is not None and replication_factor is not None:
        return NewTopic(name, partitions, replication_factor, topic_configs=settings)
    # The driver takes -1 only with an assignment of replicas, and the broker takes an empty one.
    return NewTopic(name, partitions or -1, replication_factor or -1, {}, settings)


_MAX_MESSAGE_BYTES: Final = "max.message.bytes"


async def message_limits(client: AdminClient, topics: Collection[str]) -> dict[str, int]:
    """How large a batch of records each of these topics takes, as far as the broker tells."""
    if not topics:
        return {}
    wanted = {_MAX_MESSAGE_BYTES: None}
    answers = await client.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, topic, wanted) for topic in sorted(topics)]
    )
    limits: dict[str, int] = {}
    for answer in answers:
        for _, _, _, topic, entries, *_ in answer.resources:
            limits.update((topic, int(value)) for name, value, *_ in entries if name in wanted)
    return limits


def compressed_batch() -> Batch:
    """An empty batch that will be compressed, whatever its client compresses."""
    return BatchBuilder(_ONE_RECORD, _GZIP)  # type: ignore[no-any-return,unused-ignore]


_ONE_RECORD: Final = 1
"""The size that a batch is filled up to; the first record is taken whatever its size."""

_GZIP: Final = 1


_partitioner = DefaultPartitioner()


def partition_for(key: bytes, partitions: Sequence[int]) -> int:
    """Where a key belongs: murmur2, as in Kafka's own clients."""
    chosen: int = _partitioner(key, partitions, partitions)
    return chosen


def known_partitions(client: ProducerClient, topic: str) -> set[int] | None:
    """The numbers of a topic's partitions, if the client knows the topic at this moment."""
    metadata: Any = client
    found: set[int] | None = metadata.client.cluster.partitions_for_topic(topic)
    return found


async def discovered_partitions(client: ConsumerClient, topic: str) -> set[int]:
    """The numbers of a topic's partitions, whether the client reads it or not.

    Raises:
        KafkaError: the broker tells of no such topic.
    """
    inner: Any = client
    found: set[int] = await inner._client._wait_on_metadata(topic)
    return found


async def answered(client: ConsumerClient) -> None:
    """Return when a broker has told of the client's topics.

    Raises:
        KafkaError: none has.
    """
    inner: Any = client
    if not await inner._client.force_metadata_update():
        raise errors.KafkaConnectionError("no broker tells of the topics")


def is_missing(client: ConsumerClient, topic: str) -> bool:
    """Whether the brokers had no such topic when they were last asked."""
    inner: Any = client
    return topic not in inner._client.cluster.topics(exclude_internal_topics=False)


def place_of(client: ConsumerClient, partition: TopicPartition) -> int | None:
    """The offset up to which `getmany` has returned all records; None if it is not known now.

    Transaction markers and what was compacted away lie before it, although nothing of that is ever
    returned.
    """
    inner: Any = client
    subscription = getattr(inner, "_subscription", None)
    if subscription is None or not subscription.is_assigned(partition):
        return None
    state = subscription.subscription.assignment.state_value(partition)
    place: int | None = state.position if state.has_valid_position else None
    return place


def missing_compression(name: str) -> str | None:
    """What lacks for this compression, in words, or None."""
    if getattr(codec, f"has_{name}")():
        return None
    return f"{name} needs a library that is not installed: pip install 'aiokafka[{name}]'"


def fast_records(batch: memoryview) -> Iterable[Record]:
    """The records of a batch that is not compressed, as the driver's own parser reads them.

    Raises, on the way:
        Exception: it cannot read one, for whatever reason.
    """
    found: Any = DefaultRecordBatch(batch)
    return found  # type: ignore[no-any-return,unused-ignore]


def is_intact(batch: memoryview) -> bool:
    """Whether the checksum of a batch is right."""
    intact: bool = DefaultRecordBatch(batch).validate_crc()
    return intact


def partition_of(topic: str, number: int) -> TopicPartition:
    """The driver's own name of a partition."""
    return TopicPartition(topic, number)


async def leave_while_joining(client: object) -> None:
    """Leave a group for as long as the client is joining it; returns when it no longer is.

    The broker answers a join when all members have come, or have been given up, and the driver
    does not end before that. When the member leaves, the broker answers at once. The driver's own
    connection to the coordinator is taken: the broker reads nothing there until it has answered.
    """
    inner: Any = client
    coordinator: Any = getattr(inner, "_coordinator", None)
    joining = getattr(coordinator, "_coordination_task", None)
    left: set[str] = set()
    while joining is not None and not joining.done():
        await asyncio.wait({joining}, timeout=_JOIN_LOOK_SECONDS)
        member, node = coordinator.member_id, coordinator.coordinator_id
        if joining.done() or not member or member in left or node is None:
            continue
        left.add(member)
        request = LeaveGroupRequest(coordinator.group_id, member)
        with contextlib.suppress(errors.KafkaError):
            await inner._client.send(node, request, group=ConnectionGroup.DEFAULT)


async def closed_by_force(client: object) -> None:
    """Close the connections and end the background tasks of a client that cannot end in order."""
    inner: Any = client
    coordinator = getattr(inner, "_coordinator", None)
    for name in ("_coordination_task", "_heartbeat_task", "_commit_refresh_task"):
        if (task := getattr(coordinator, name, None)) is not None:
            task.cancel()
    parts = [getattr(inner, name, None) for name in ("_fetcher", "_sender", "_client", "client")]
    # The driver lets its own cancellations out; as results they do no harm.
    await asyncio.gather(
        *(part.close() for part in parts if part is not None), return_exceptions=True
    )


_TASK_MAKERS: Final = (
    *("client", "conn", "consumer.fetcher", "consumer.group_coordinator"),
    *("producer.producer", "producer.sender"),
)
"""Modules of the driver whose objects make tasks of their own while they are not whole yet."""


def lazy_task(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task that has not begun when this returns, whatever the loop's task factory.

    The driver counts on that: with eager tasks, its routines would see half of their object.
    """
    return asyncio.Task(coroutine, loop=asyncio.get_running_loop())


def _have_lazy_tasks() -> None:
    for name in _TASK_MAKERS:
        module: Any = import_module(f"aiokafka.{name}")
        assert callable(module.create_task), f"aiokafka.{name} makes its tasks in another way"
        module.create_task = lazy_task


_have_lazy_tasks()
