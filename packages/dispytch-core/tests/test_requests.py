"""Requests and their answers, in memory."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from dispytch import (
    DeadLetters,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    Idempotent,
    Skip,
)
from dispytch.exceptions import (
    BodyInvalid,
    BrokerUnreachable,
    ConfigurationError,
    DecodeError,
    MessageTooLarge,
    NotRunning,
    RequestFailed,
    RequestTimeout,
    SendError,
    TransportError,
    Unroutable,
)
from dispytch.memory import MemoryBackend
from dispytch.memory.producer import MemoryProducer
from dispytch.messages import CORRELATION_ID, REPLY_TO, Delivery, Message
from dispytch.transport import Features, OnRevoke, Subscription


class GetPrice(EventBase):
    __topic__ = "prices"
    __event_type__ = "get_price"

    item: str


class Ask(EventBase):
    __topic__ = "asks"
    __event_type__ = "ask"

    item: str


class Question(BaseModel):
    item: str


class Price(BaseModel):
    cents: int


class Backend(MemoryBackend):
    """Refuses what a test tells it to refuse."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.refusals: list[TransportError] = []
        self.refused: list[Message] = []
        self.unreachable = False
        self.consumers: list[Subscription] = []
        self.lost: asyncio.Event | None = None

    @asynccontextmanager
    async def producer(self) -> AsyncGenerator[MemoryProducer, None]:
        async with super().producer() as producer:
            send = producer.send

            async def refusing(messages: Sequence[Message], *, delay: float | None = None) -> None:
                replies = messages[0].topic.endswith(".replies")
                if replies and self.refusals:
                    self.refused += messages
                    raise SendError({0: self.refusals.pop(0)}, 1)
                await send(messages, delay=delay)

            producer.send = refusing  # type: ignore[method-assign]
            yield producer

    @asynccontextmanager
    async def consumer(
        self, subscription: Subscription, on_revoke: OnRevoke
    ) -> AsyncGenerator[Any, None]:
        if subscription.temporary:
            self.consumers.append(subscription)
            if self.unreachable:
                raise BrokerUnreachable("nobody there")
        async with super().consumer(subscription, on_revoke) as consumer:
            if subscription.temporary and (lost := self.lost) is not None:

                async def receive() -> Sequence[Delivery]:
                    await lost.wait()
                    raise TransportError("gone for good")

                consumer.receive = receive  # type: ignore[method-assign]
            yield consumer


@pytest.fixture
def backend() -> Backend:
    return Backend(uuid4().hex)


Handler = Callable[..., Any]


@asynccontextmanager
async def answering(
    backend: MemoryBackend, *handlers: Handler, group: str = "pricing", **options: Any
) -> AsyncGenerator[EventListener, None]:
    taking = HandlerGroup(default_topic="prices", default_event="get_price")
    for handler in handlers:
        taking.handler()(handler)
    listener = EventListener(backend, group=group, **options)
    listener.add_handler_group(taking)
    async with listener:
        yield listener


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - it is no event
            await asyncio.sleep(0.001)


async def price(event: Event[Question]) -> Price:
    return Price(cents=len(event.body.item))


async def test_the_return_value_is_the_answer_and_has_its_type(backend: Backend) -> None:
    async with answering(backend, price) as listener, EventEmitter(backend) as emitter:
        answer = await emitter.request(GetPrice(item="apple"), reply=Price, timeout=5)
        assert answer == Price(cents=5)
        adapter = TypeAdapter[Price | None](Price | None)
        assert await emitter.request(GetPrice(item="a"), reply=adapter) == Price(cents=1)
        plain = await emitter.request(GetPrice(item="a"), reply=dict[str, int])
        assert plain == {"cents": 1}
    assert listener.outcomes.answered == listener.outcomes.handled == 3


async def test_an_ordinary_event_has_no_answer(backend: Backend) -> None:
    async with answering(backend, price) as listener, EventEmitter(backend) as emitter:
        await emitter.emit(GetPrice(item="apple"))
        await eventually(lambda: listener.outcomes.handled == 1)
    assert listener.outcomes.answered == 0
    assert not [topic for topic in backend._broker._topics if topic.endswith(".replies")]


async def test_the_way_for_replies_is_opened_once_by_many_at_once(backend: Backend) -> None:
    async with answering(backend, price), EventEmitter(backend, source="/shop") as emitter:
        asked = [GetPrice(item="x" * number) for number in range(200)]
        answers = await asyncio.gather(*(emitter.request(one, reply=Price) for one in asked))
    assert [answer.cents for answer in answers] == list(range(200))
    (subscription,) = backend.consumers
    assert subscription.topics == ("shop.replies",)


async def test_nothing_of_it_is_left_in_the_broker(backend: Backend) -> None:
    async with answering(backend, price), EventEmitter(backend, source="shop") as emitter:
        await emitter.request(GetPrice(item="apple"), reply=Price)
        replies = backend._broker._topics["shop.replies"]
        assert any(partition._streams for partition in replies.partitions)
    assert not any(partition._streams for partition in replies.partitions)
    assert "shop.replies" not in backend._broker._groups


async def test_a_handler_without_annotation_answers_what_it_returns(backend: Backend) -> None:
    async def untyped(event: Event):  # type: ignore[no-untyped-def]
        return None if event.body["item"] == "nothing" else {"cents": 7}

    async with answering(backend, untyped), EventEmitter(backend) as emitter:
        assert await emitter.request(GetPrice(item="apple"), reply=Price) == Price(cents=7)
        with pytest.raises(RequestTimeout):
            await emitter.request(GetPrice(item="nothing"), reply=Price, timeout=0.05)


async def test_a_handler_that_returns_none_answers_when_told_to(backend: Backend) -> None:
    charged: list[str] = []
    group = HandlerGroup(default_topic="prices")

    @group.handler(event="get_price", answers=True)
    async def charge(event: Event[Question]) -> None:
        charged.append(event.body.item)

    listener = EventListener(backend, group="charging")
    listener.add_handler_group(group)
    async with listener, EventEmitter(backend) as emitter:
        await emitter.request(GetPrice(item="apple"), reply=None)
    assert charged == ["apple"]


async def test_the_first_answer_counts_and_the_second_is_dropped(backend: Backend) -> None:
    async def first(event: Event[Question]) -> int:
        return 1

    async def second(event: Event[Question]) -> int:
        return 2

    async with answering(backend, first, second) as listener, EventEmitter(backend) as emitter:
        assert await emitter.request(GetPrice(item="apple"), reply=int) == 1
        await eventually(lambda: listener.outcomes.answered == 2)
        assert emitter._requests is not None
        requests = emitter._requests
        await eventually(lambda: requests.late == 1)


async def test_skipping_is_a_failure_to_the_requester(backend: Backend) -> None:
    async def skip(event: Event[Question]) -> Price:
        raise Skip("no such item")

    async with answering(backend, skip) as listener, EventEmitter(backend) as emitter:
        with pytest.raises(RequestFailed, match="no such item") as failed:
            await emitter.request(GetPrice(item="apple"), reply=Price)
    assert failed.value.reason == "skipped"
    assert (listener.outcomes.skipped, listener.outcomes.handled) == (1, 0)


async def test_a_value_that_cannot_be_sent_fails_the_request_and_not_the_event(
    backend: Backend,
) -> None:
    async def wrong(event: Event[Question]) -> Price:
        return "five"  # type: ignore[return-value]

    async with answering(backend, wrong) as listener, EventEmitter(backend) as emitter:
        with pytest.raises(RequestFailed) as failed:
            await emitter.request(GetPrice(item="apple"), reply=Price)
    assert failed.value.reason == "unanswerable"
    assert listener.outcomes.handled == 1
    assert listener.outcomes.dead_lettered == 0


async def test_what_a_middleware_returns_is_the_answer(backend: Backend) -> None:
    async def doubled(event: Event[Any], call_next: Callable[..., Awaitable[Any]]) -> Any:
        answer = await call_next(event)
        return Price(cents=answer.cents * 2)

    async with (
        answering(backend, price, middlewares=[doubled]),
        EventEmitter(backend) as emitter,
    ):
        assert await emitter.request(GetPrice(item="apple"), reply=Price) == Price(cents=10)


async def test_a_request_that_comes_again_after_its_answer_disturbs_nothing(
    backend: Backend,
) -> None:
    async with (
        answering(backend, price, middlewares=[Idempotent()]) as listener,
        EventEmitter(backend) as emitter,
    ):
        asked = GetPrice(item="apple")
        assert await emitter.request(asked, reply=Price) == Price(cents=5)
        with pytest.raises(RequestFailed, match="handled") as failed:
            await emitter.request(asked, reply=Price)
    assert failed.value.reason == "skipped"
    assert listener.outcomes.handled == 1


@pytest.mark.parametrize("refusal", [TransportError("busy"), BrokerUnreachable("away")])
async def test_a_request_is_settled_once_its_answer_is_confirmed(
    backend: Backend, refusal: TransportError
) -> None:
    runs: list[str] = []

    async def once(event: Event[Question]) -> Price:
        runs.append(event.body.item)
        return Price(cents=1)

    backend.refusals = [refusal]
    async with answering(backend, once) as listener, EventEmitter(backend) as emitter:
        asking = asyncio.create_task(emitter.request(GetPrice(item="apple"), reply=Price))
        await eventually(lambda: listener.outcomes.unsent == 1)
        health = await listener.health()
        assert health.in_flight == 1
        assert not asking.done()
        assert await asking == Price(cents=1)
        await eventually(lambda: listener.outcomes.answered == 1)
    assert runs == ["apple"]


async def test_a_reply_that_nobody_waits_for_is_dropped(backend: Backend) -> None:
    backend.refusals = [Unroutable("the queue is gone")]
    async with answering(backend, price) as listener, EventEmitter(backend) as emitter:
        with pytest.raises(RequestTimeout, match="no reply came from 'prices'"):
            await emitter.request(GetPrice(item="apple"), reply=Price, timeout=0.05)
        await eventually(lambda: listener.outcomes.unwanted == 1)
        health = await listener.health()
    assert health.problems == ()
    assert listener.outcomes.unsent == 0


async def test_a_reply_that_is_too_large_is_told_as_a_failure(backend: Backend) -> None:
    backend.refusals = [MessageTooLarge("above the limit")]
    async with answering(backend, price), EventEmitter(backend) as emitter:
        with pytest.raises(RequestFailed, match="more than the broker takes"):
            await emitter.request(GetPrice(item="apple"), reply=Price)


async def test_a_failed_request_is_a_dead_letter_before_it_is_answered(backend: Backend) -> None:
    async def fail(event: Event[Question]) -> Price:
        raise ValueError("no such item")

    async with answering(backend, fail) as listener, EventEmitter(backend) as emitter:
        with pytest.raises(RequestFailed, match="no such item"):
            await emitter.request(GetPrice(item="apple"), reply=Price)
        assert listener.outcomes.dead_lettered == 1
    (letter,) = await DeadLetters(backend, topic="prices", group="pricing").read()
    assert {REPLY_TO, CORRELATION_ID} <= {name for name, _ in letter.headers}


async def test_a_failed_request_is_answered_under_the_policy_drop(backend: Backend) -> None:
    async def fail(event: Event[Question]) -> Price:
        raise ValueError("no such item")

    async with (
        answering(backend, fail, dead_letter="drop") as listener,
        EventEmitter(backend) as emitter,
    ):
        with pytest.raises(RequestFailed, match="no such item"):
            await emitter.request(GetPrice(item="apple"), reply=Price)
    assert (listener.outcomes.dropped, listener.outcomes.dead_lettered) == (1, 0)


async def test_failures_of_handlers_that_only_listen_are_not_answered(backend: Backend) -> None:
    async def audit(event: Event[Question]) -> None:
        raise ValueError("the log is full")

    async with answering(backend, audit, price) as listener, EventEmitter(backend) as emitter:
        assert await emitter.request(GetPrice(item="apple"), reply=Price) == Price(cents=5)
    assert (listener.outcomes.answered, listener.outcomes.dead_lettered) == (1, 1)


async def test_an_answer_of_another_type_is_refused(backend: Backend) -> None:
    async with answering(backend, price), EventEmitter(backend) as emitter:
        with pytest.raises(BodyInvalid):
            await emitter.request(GetPrice(item="apple"), reply=int)


async def test_a_backend_without_temporary_subscriptions_is_named(backend: Backend) -> None:
    class Plain(Backend):
        features: ClassVar[Features] = replace(MemoryBackend.features, temporary=False)

    async with EventEmitter(Plain("plain")) as emitter:
        with pytest.raises(ConfigurationError, match="Plain has no temporary subscriptions"):
            await emitter.request(GetPrice(item="apple"), reply=Price)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), "5", None])
async def test_a_timeout_is_positive_seconds(backend: Backend, seconds: Any) -> None:
    async with EventEmitter(backend) as emitter:
        with pytest.raises(ConfigurationError, match="timeout is positive seconds"):
            await emitter.request(GetPrice(item="apple"), reply=Price, timeout=seconds)


async def test_a_reply_that_pydantic_cannot_validate_is_refused(backend: Backend) -> None:
    class Strange: ...

    async with EventEmitter(backend) as emitter:
        with pytest.raises(ConfigurationError, match="cannot validate a reply as"):
            await emitter.request(GetPrice(item="apple"), reply=Strange)
    assert "prices" not in backend._broker._topics


async def test_a_way_that_cannot_be_opened_is_tried_again_by_the_next(backend: Backend) -> None:
    backend.unreachable = True
    async with answering(backend, price), EventEmitter(backend) as emitter:
        with pytest.raises(BrokerUnreachable, match="nobody there"):
            await emitter.request(GetPrice(item="apple"), reply=Price)
        backend.unreachable = False
        assert await emitter.request(GetPrice(item="apple"), reply=Price) == Price(cents=5)


async def test_a_way_that_is_lost_fails_those_that_wait_and_is_opened_again(
    backend: Backend,
) -> None:
    began = asyncio.Event()

    async def one(event: Event[Question]) -> Price:
        began.set()
        return Price(cents=1)

    backend.lost = asyncio.Event()
    async with answering(backend, one), EventEmitter(backend) as emitter:
        asking = asyncio.create_task(emitter.request(GetPrice(item="apple"), reply=Price))
        await began.wait()
        backend.lost.set()
        with pytest.raises(TransportError, match="gone for good"):
            await asking
        backend.lost = None
        assert await emitter.request(GetPrice(item="apple"), reply=Price) == Price(cents=1)


async def test_an_emitter_that_closes_fails_what_waits(backend: Backend) -> None:
    async with answering(backend, price, group="other"):
        emitter = EventEmitter(backend)
        async with emitter:
            await emitter.request(GetPrice(item="apple"), reply=Price)
            asking = asyncio.create_task(emitter.request(_elsewhere(), reply=Price))
            await eventually(lambda: "elsewhere" in backend._broker._topics)
        with pytest.raises(NotRunning, match="closed"):
            await asking
        async with emitter:
            assert await emitter.request(GetPrice(item="apple"), reply=Price) == Price(cents=5)


async def test_a_request_outside_of_the_emitter_is_refused(backend: Backend) -> None:
    emitter = EventEmitter(backend)
    with pytest.raises(NotRunning):
        await emitter.request(GetPrice(item="apple"), reply=Price)
    assert backend.consumers == []


async def test_a_cancelled_request_leaves_nothing_behind(backend: Backend) -> None:
    async with EventEmitter(backend) as emitter:
        asking = asyncio.create_task(emitter.request(_elsewhere(), reply=Price))
        await eventually(lambda: "elsewhere" in backend._broker._topics)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert emitter._requests is not None
        assert not emitter._requests._waiting


def _elsewhere() -> EventBase:
    class Elsewhere(GetPrice):
        __topic__ = "elsewhere"

    return Elsewhere(item="apple")


async def numbers(event: Event[Question]) -> list[Any]:
    return [event.body.item] * 10_000


@pytest.mark.parametrize("reply", [list[int], TypeAdapter(list[int])])
async def test_a_wrong_reply_is_validated_to_its_first_fault(
    backend: Backend, reply: object
) -> None:
    async with answering(backend, numbers), EventEmitter(backend) as emitter:
        with pytest.raises(BodyInvalid, match=r"refused: 0: Input should be a valid integer[^;]*$"):
            await emitter.request(GetPrice(item="my secret"), reply=reply, timeout=5)


async def test_an_adapter_of_the_program_is_left_as_it_is(backend: Backend) -> None:
    adapter = TypeAdapter(list[int])
    async with answering(backend, numbers), EventEmitter(backend) as emitter:
        assert await emitter.request(GetPrice(item="1"), reply=adapter) == [1] * 10_000
    with pytest.raises(ValidationError) as refused:
        adapter.validate_python(["a", "b"])
    assert refused.value.error_count() == 2


async def test_an_adapter_whose_type_is_not_there_yet_is_refused(backend: Backend) -> None:
    missing: Any = "Missing"
    adapter = TypeAdapter[Any](missing, config=ConfigDict(defer_build=True))
    async with EventEmitter(backend) as emitter:
        with pytest.raises(ConfigurationError, match="Missing"):
            await emitter.request(GetPrice(item="1"), reply=adapter)


async def test_a_reply_beyond_the_limit_is_not_read(backend: Backend) -> None:
    async with (
        answering(backend, numbers),
        EventEmitter(backend, max_body_bytes=100_000) as emitter,
    ):
        assert len(await emitter.request(GetPrice(item="1"), reply=list[str])) == 10_000
        with pytest.raises(DecodeError, match="has 110001 bytes, more than max_body_bytes=100000"):
            await emitter.request(GetPrice(item="12345678"), reply=list[str])
        assert len(await emitter.request(GetPrice(item="1"), reply=list[str])) == 10_000


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "1"])
def test_a_limit_of_replies_that_makes_no_sense_is_refused(backend: Backend, limit: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_body_bytes"):
        EventEmitter(backend, max_body_bytes=limit)


async def test_the_limit_of_a_listener_counts_for_replies_to_its_handlers(
    backend: Backend,
) -> None:
    refused: list[Exception] = []

    async def asking(event: Event[Question], emitter: EventEmitter) -> None:
        try:
            await emitter.request(GetPrice(item="1"), reply=list[str], timeout=5)
        except DecodeError as error:
            refused.append(error)

    asks = HandlerGroup()
    asks.handler(topic="asks")(asking)
    listener = EventListener(backend, group="asking", max_body_bytes=1_000)
    listener.add_handler_group(asks)
    async with answering(backend, numbers), listener, EventEmitter(backend) as emitter:
        await emitter.emit(Ask(item="x"))
        await eventually(lambda: bool(refused))
