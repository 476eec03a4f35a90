"""Events that wait in holding topics, by a clock on the wall that the test moves."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispytch import Event, EventListener, HandlerGroup, RetryPolicy
from dispytch.clock import Clock
from dispytch.dead_letters import ORIGINAL_TOPIC, Failure
from dispytch.delivery.attempt import Parting
from dispytch.delivery.keeper import Keeper
from dispytch.delivery.outcomes import Outcomes
from dispytch.delivery.partings import Partings
from dispytch.exceptions import BrokerUnreachable, MessageTooLarge, SendError, TransportError
from dispytch.memory import MemoryBackend
from dispytch.messages import Delivery, Headers, Lease, Message, Undecodable
from dispytch.redelivery import DUE, HOLDS, hold_of, holding_topics, retry_topic, way_back
from dispytch.signing import Signer, for_retry
from dispytch.testing.conformance.tap import tapped
from dispytch.testing.transport.reader import eventually
from dispytch.transport import Consumer, Producer

NOW = 1_800_000_000.0


@given(seconds=st.floats(0, 10**9))
def test_no_topic_holds_an_event_for_longer_than_it_is_to_wait(seconds: float) -> None:
    topic = way_back("billing", seconds)
    hold = hold_of(topic, "billing")
    assert topic == "billing.retry" if hold is None else hold < seconds
    assert (hold or 0.0) == max((one for one in HOLDS.values() if one < seconds), default=0.0)


def test_the_way_back_of_an_hour_ends_at_the_retry_topic_in_few_steps() -> None:
    left, steps = 3600.0, list[str]()
    while (topic := way_back("billing", left)) != retry_topic("billing"):
        steps.append(topic)
        left -= hold_of(topic, "billing") or 0.0
    assert left <= 5
    assert len(steps) < 20
    assert set(steps) <= set(holding_topics("billing"))


def test_other_topics_hold_nothing() -> None:
    for topic in ("billing.retry", "billing", "5s", "other.retry.5s", "billing.retry.1h"):
        assert hold_of(topic, "billing") is None


class Shelf(Consumer):
    """Hands out what the test puts on it."""

    def __init__(self) -> None:
        self.acked: list[int] = []
        self.flushed = 0
        self.failure: Exception | None = None
        self.wrong: dict[str, str] = {}
        self._fresh: list[Delivery] = []
        self._news = asyncio.Event()
        self._stopped = False

    def put(self, delivery: Delivery) -> None:
        self._fresh.append(delivery)
        self._news.set()

    def fail(self, failure: Exception) -> None:
        self.failure = failure
        self._news.set()

    async def receive(self) -> Sequence[Delivery]:
        while not (self._fresh or self._stopped or self.failure):
            self._news.clear()
            await self._news.wait()
        if self.failure:
            raise self.failure
        taken, self._fresh = self._fresh, []
        return [] if self._stopped else taken

    def ack(self, delivery: Delivery) -> None:
        self.acked.append(delivery.position)

    def nack(self, delivery: Delivery) -> None:
        raise AssertionError("the keeper gives nothing back")

    async def flush(self) -> None:
        self.flushed = len(self.acked)

    @property
    def leases(self) -> Collection[Lease]:
        return []

    async def lag(self) -> Mapping[str, int]:
        return {}

    @property
    def problems(self) -> Mapping[str, str]:
        return self.wrong

    def pause(self, lease: Lease) -> None:
        raise AssertionError("the keeper pauses nothing")

    resume = pause

    def stop_receiving(self) -> None:
        self._stopped = True
        self._news.set()


class Sink(Producer):
    """Takes what is sent, unless it is told to refuse."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.refusals = 0
        self.reason: Exception = BrokerUnreachable("away")

    async def send(self, messages: Sequence[Message], *, delay: float | None = None) -> None:
        assert delay is None
        if self.refusals:
            self.refusals -= 1
            raise SendError(dict.fromkeys(range(len(messages)), self.reason), 1)
        self.sent += messages


class Desk:
    """A keeper at work."""

    def __init__(self, signer: Signer | None = None) -> None:
        self.shelf, self.sink, self.now = Shelf(), Sink(), NOW
        self.given_up: list[str] = []
        self.leases = {name: Lease(name, f"{name}[0]") for name in holding_topics("billing")}
        clock = replace(Clock.of_loop(), wall=lambda: self.now)
        partings = Partings(self.sink, Outcomes(), clock, group="billing", signer=signer)
        check = None if signer is None else partial(signer.check, purpose=for_retry("billing"))
        self.keeper = Keeper("billing", partings, self._give_up, clock, check)
        self._count = 0

    def put(
        self, hold: str, *, due: float | str | None = None, since: float = 0, headers: Headers = ()
    ) -> Delivery:
        """Something that came to a holding topic so many seconds from now, due likewise."""
        topic = f"billing.retry.{hold}"
        known = [(ORIGINAL_TOPIC, b"orders"), *headers]
        if due is not None:
            text = due if isinstance(due, str) else f"{round((NOW + due) * 1000)}"
            known.append((DUE, text.encode()))
        self._count += 1
        at = round((NOW + since) * 1000)
        delivery = Delivery(topic, b"v", b"k", known, self.leases[topic], self._count, at)
        self.shelf.put(delivery)
        return delivery

    async def until(self, *topics: str) -> None:
        """Wait until this, and no more, is sent on and acked."""
        wanted = [f"billing.retry{name}" for name in topics]
        await eventually(lambda: len(self.shelf.acked) >= len(wanted), f"{wanted}", 5)
        await asyncio.sleep(0.01)
        assert [one.topic for one in self.sink.sent] == wanted

    def _give_up(self, delivery: Delivery, failure: Failure) -> Parting | None:
        self.given_up.append(f"{failure.reason}: {failure.error}")
        return None


@asynccontextmanager
async def at_work(signer: Signer | None = None) -> AsyncGenerator[Desk, None]:
    desk = Desk(signer)
    running = asyncio.create_task(desk.keeper.run(desk.shelf))
    try:
        yield desk
    finally:
        desk.keeper.stop()
        async with asyncio.timeout(5):
            await asyncio.wait([running])
    running.result()


async def test_what_has_been_there_for_long_enough_goes_where_it_waits_for_the_rest() -> None:
    async with at_work() as desk:
        desk.put("20m", since=-1201, due=1500)
        desk.put("20m", since=-1200, due=400)
        desk.put("3m", since=-500, due=179)
        desk.put("30s", since=-31, due=6)
        desk.put("5s", since=-5, due=4.9)
        await desk.until(".20m", ".3m", ".30s", ".5s", "")


async def test_what_is_due_is_sent_on_a_moment_before_that() -> None:
    async with at_work() as desk:
        desk.put("20m", since=-10, due=1.5)
        desk.put("3m", since=-10, due=0.9)
        await desk.until("")
        desk.now += 0.6
        desk.put("30s", due=-100)
        await desk.until("", "", "")
        assert desk.shelf.acked == [2, 1, 3]


async def test_nothing_is_sent_on_before_its_time() -> None:
    async with at_work() as desk:
        for hold, seconds in HOLDS.items():
            desk.put(hold, due=seconds + 60)
        await asyncio.sleep(0.05)
        assert desk.sink.sent == []
        assert desk.shelf.acked == []
    assert desk.shelf.flushed == 0


async def test_a_stamp_from_the_future_keeps_nothing_back_for_longer() -> None:
    async with at_work() as desk:
        desk.put("5s", since=10**6, due=7)
        await asyncio.sleep(0.02)
        assert desk.sink.sent == []
        desk.now += 6.5
        desk.put("3m", due=0)
        await desk.until("", "")


@pytest.mark.parametrize("due", ["soon", "9" * 400, "-5", None])
async def test_what_says_nothing_of_its_time_is_for_the_engine_to_judge(due: str | None) -> None:
    async with at_work() as desk:
        desk.put("20m", due=due)
        await desk.until("")


async def test_it_is_sent_on_with_all_that_it_is() -> None:
    async with at_work() as desk:
        headers: Headers = [("null", None), ("caf\udce9", b"x"), ("a", b"1"), ("a", b"2")]
        given = desk.put("3m", due=0, headers=headers)
        await desk.until("")
        (sent,) = desk.sink.sent
        assert (sent.value, sent.key, sent.headers) == (given.value, given.key, given.headers)
        assert sent.repeats is given


async def test_what_is_refused_stays_unsettled_and_is_sent_again() -> None:
    async with at_work() as desk:
        desk.sink.refusals = 1
        desk.put("3m", due=0)
        await asyncio.sleep(0.05)
        assert desk.shelf.acked == []
        await desk.until("")


async def test_what_no_topic_will_ever_take_is_given_up_and_settled() -> None:
    async with at_work() as desk:
        desk.sink.refusals, desk.sink.reason = 1, MessageTooLarge("a byte too many")
        desk.put("3m", due=0)
        desk.put("3m", due=0)
        await eventually(lambda: sorted(desk.shelf.acked) == [1, 2], "both", 5)
        assert desk.given_up == ["unsendable: a byte too many"]
        assert len(desk.sink.sent) == 1


async def test_a_stop_does_not_wait_for_a_broker_that_takes_nothing() -> None:
    async with at_work() as desk:
        desk.sink.refusals = 10**6
        desk.put("3m", due=0)
        await asyncio.sleep(0.05)
    assert desk.shelf.acked == []


async def test_what_the_driver_could_not_read_is_given_up_and_settled() -> None:
    async with at_work() as desk:
        lease = desk.leases["billing.retry.5s"]
        desk.shelf.put(Undecodable(lease.topic, None, None, (), lease, 9, reason="no zstd"))
        await eventually(lambda: desk.shelf.acked == [9], "its end", 5)
        assert desk.given_up == ["undecodable: no zstd"]
        assert desk.sink.sent == []


async def test_what_is_not_signed_is_given_up_and_what_is_stays_so_on_every_way() -> None:
    signer = Signer([b"0123456789abcdef"])
    signed = Message("t", b"v", b"k", [(ORIGINAL_TOPIC, b"orders")])
    signer.sign(signed, for_retry("billing"))
    async with at_work(signer) as desk:
        desk.put("20m", since=-1201, due=1500)
        desk.put("30s", headers=[signed.headers[-1]], since=-31)
        await desk.until("")
    assert [told.split(":")[0] for told in desk.given_up] == ["unsigned"]
    (sent,) = desk.sink.sent
    assert signer.doubt(sent, for_retry("billing")) is None


async def test_a_stream_that_is_given_up_is_forgotten() -> None:
    async with at_work() as desk:
        desk.put("5s", due=3)
        await asyncio.sleep(0.02)
        await desk.keeper.revoke([desk.leases["billing.retry.5s"]])
        desk.now += 100
        desk.put("3m", due=0)
        await desk.until("")
        assert desk.shelf.acked == [2]


async def test_what_keeps_it_from_working_is_told() -> None:
    async with at_work() as desk:
        desk.shelf.wrong["commits"] = "no commit succeeds"
        await asyncio.sleep(0)
        assert desk.keeper.problems == {"delays.commits": "delayed events wait: no commit succeeds"}


async def test_a_consumer_that_cannot_go_on_ends_it() -> None:
    desk = Desk()
    desk.shelf.fail(TransportError("refused"))
    with pytest.raises(TransportError, match="refused"):
        await desk.keeper.run(desk.shelf)


async def test_what_waits_for_long_in_the_retry_topic_is_moved_to_where_it_belongs() -> None:
    """As an older version has left it there."""
    backend = tapped(MemoryBackend(uuid4().hex, partitions=1), delay=False)
    group, seen = HandlerGroup(default_topic="orders"), list[object]()

    @group.handler(retry=RetryPolicy(attempts=2, delayed=True))
    async def handle(event: Event) -> None:
        seen.append(event.attempt)

    listener = EventListener(backend, group="billing", max_in_flight=4, concurrency=2)
    listener.add_handler_group(group)
    due = round((Clock.of_loop().wall() + 3600) * 1000)
    known = [(ORIGINAL_TOPIC, b"orders"), ("content-type", b"application/json")]
    late = Message("billing.retry", b"{}", b"k", [*known, (DUE, b"%d" % due)])
    async with listener, backend.producer() as producer:
        await producer.send([late] * 20)
        await producer.send([Message("billing.retry", b"{}", b"k", known)])
        await eventually(lambda: len(seen) == 1, "the one that is due", 5)
        await eventually(lambda: _moved(backend.sent) == 20, "the others", 5)


def _moved(sent: Sequence[Message]) -> int:
    return sum(one.topic == "billing.retry.20m" for one in sent)


async def test_without_delayed_retries_there_are_no_holding_topics() -> None:
    for retry, there in ((RetryPolicy(attempts=2), False), (RetryPolicy(delayed=True), True)):
        backend = tapped(MemoryBackend(uuid4().hex, partitions=1), delay=False)
        group = HandlerGroup(default_topic="orders")

        @group.handler(retry=retry)
        async def handle(event: Event) -> None:
            """Do nothing."""

        listener = EventListener(backend, group="billing")
        listener.add_handler_group(group)
        prepared: list[str] = []
        prepare = backend.prepare

        async def noted(topology: object) -> None:
            prepared.extend(topology.topics)  # type: ignore[attr-defined] # noqa: B023
            await prepare(topology)  # type: ignore[arg-type] # noqa: B023

        backend.prepare = noted  # type: ignore[method-assign]
        async with listener:
            assert ("billing.retry.5s" in prepared) is there
