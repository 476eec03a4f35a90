"""Events whose schemas are kept by a registry, from the emitter to the handler."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup
from dispytch.exceptions import DecodeError, InvalidHandler, RegistryUnavailable, SchemaRefused
from dispytch.memory import MemoryBackend
from dispytch.messages import Message
from dispytch.serialization import (
    AvroCodec,
    MemoryRegistry,
    ProtobufCodec,
    RegistryCodec,
    Schema,
)
from dispytch.serialization.registry.asking import PatientAsking


class Placed(EventBase):
    __topic__ = "orders"
    __event_type__ = "placed"
    __key__ = "{number}"

    number: int


class PerCustomer(EventBase):
    __topic__ = "orders.{customer}"
    __event_type__ = "placed"

    customer: str


class Unsteady(MemoryRegistry):
    """A registry that may be down, and counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.asked = 0

    def _answer(self) -> None:
        self.asked += 1
        if self.down:
            raise RegistryUnavailable("the registry is down")

    async def register(self, subject: str, schema: Schema) -> int:
        self._answer()
        if "refused" in subject:
            raise SchemaRefused("not compatible")
        await asyncio.sleep(0)
        return await super().register(subject, schema)

    async def text(self, schema_id: int) -> str:
        self._answer()
        await asyncio.sleep(0)
        return await super().text(schema_id)


@pytest.fixture
def url() -> str:
    return f"memory://{uuid4().hex}"


def codec(registry: MemoryRegistry) -> RegistryCodec:
    return RegistryCodec(AvroCodec(), registry)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_while_the_registry_is_down_events_wait_and_none_is_lost(url: str) -> None:
    registry, orders, seen = Unsteady(), HandlerGroup("orders"), list[tuple[int, int]]()

    @orders.handler()
    async def handle(event: Event[Placed]) -> None:
        seen.append((event.body.number, event.attempt))

    async with EventEmitter(url, codec=codec(registry)) as emitter:
        await emitter.emit_many([Placed(number=number % 5) for number in range(50)])
    registry.down, registry.asked = True, 0
    listener = EventListener(url, group="shop", codecs=[codec(registry)])
    listener.add_handler_group(orders)
    async with listener:
        await until(lambda: registry.asked >= 2)
        health = await listener.health()
        assert any("events cannot be read: the registry is down" in one for one in health.problems)
        assert (seen, listener.outcomes.dead_lettered, listener.outcomes.retried) == ([], 0, 0)
        assert registry.asked < 5, "asked for all of them at once, with pauses"
        registry.down = False
        await until(lambda: len(seen) == 50)
        assert (await listener.health()).healthy
    assert {attempt for _, attempt in seen} == {1}
    assert listener.outcomes.handled == 50


async def test_while_the_registry_is_down_an_emit_says_so_and_the_next_one_may_do(url: str) -> None:
    registry = Unsteady()
    registry.down = True
    async with EventEmitter(url, codec=codec(registry)) as emitter:
        with pytest.raises(RegistryUnavailable):
            await emitter.emit(Placed(number=1))
        registry.down = False
        await emitter.emit(Placed(number=1))
        registry.down = True
        await emitter.emit_many([Placed(number=2), Placed(number=3)])
    assert registry.asked == 2


async def test_each_topic_of_a_template_has_a_subject_of_its_own(url: str) -> None:
    registry = Unsteady()
    async with EventEmitter(url, codec=codec(registry)) as emitter:
        await emitter.emit_many([PerCustomer(customer=name) for name in ("ada", "bob", "ada")])
    assert set(registry.subjects) == {"orders.ada-value", "orders.bob-value"}
    assert registry.asked == 2


async def test_what_the_registry_refuses_is_not_sent(url: str) -> None:
    async with EventEmitter(url, codec=codec(Unsteady())) as emitter:
        with pytest.raises(SchemaRefused, match="not compatible"):
            await emitter.emit(PerCustomer(customer="refused"))


async def test_many_emits_at_once_ask_once(url: str) -> None:
    registry = Unsteady()
    async with EventEmitter(url, codec=codec(registry)) as emitter:
        await asyncio.gather(*(emitter.emit(Placed(number=number)) for number in range(20)))
    assert registry.asked == 1


async def test_a_schema_that_nobody_has_is_a_dead_letter(url: str) -> None:
    orders = HandlerGroup("orders")

    @orders.handler()
    async def handle(event: Event[Placed]) -> None: ...

    async with MemoryBackend.from_url(url).producer() as producer:
        await producer.send([Message("orders", b"\0\0\0\0\7x", None, [("type", b"placed")])])
    listener = EventListener(url, group="shop", codecs=[codec(Unsteady())])
    listener.add_handler_group(orders)
    async with listener:
        await until(lambda: listener.outcomes.dead_lettered)


async def test_a_body_that_a_codec_cannot_hold_fails_at_start(url: str) -> None:
    orders = HandlerGroup("orders")

    @orders.handler()
    async def handle(event: Event[Placed]) -> None: ...

    listener = EventListener(url, group="shop", codecs=[ProtobufCodec()])
    listener.add_handler_group(orders)
    with pytest.raises(InvalidHandler, match=r"handle.*: ProtobufCodec has no message class for"):
        await listener.listen()


async def test_pauses_grow_while_nobody_answers_and_end_with_an_answer() -> None:
    now, asked, down = 0.0, list[str](), {"a"}
    asking = PatientAsking(clock=lambda: now)

    async def ask(key: str) -> None:
        async def question() -> None:
            asked.append(key)
            if key in down:
                raise RegistryUnavailable("down")

        await asking.ask(key, question)

    pauses = list[float]()
    for _ in range(8):
        for _ in range(3):
            with pytest.raises(RegistryUnavailable) as caught:
                await ask("a")
        pauses.append(caught.value.seconds)
        await ask("b")
        now += pauses[-1]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert (asked.count("a"), asked.count("b")) == (8, 8), "what can be answered has no pause"
    down.clear()
    await ask("a")
    down.add("a")
    with pytest.raises(RegistryUnavailable) as caught:
        await ask("a")
    assert caught.value.seconds == 0.5


async def test_what_cannot_be_answered_is_asked_once_and_again_after_a_while() -> None:
    now, asked = 0.0, 0
    asking = PatientAsking(clock=lambda: now)

    async def question() -> None:
        nonlocal asked
        asked += 1
        raise DecodeError("no such schema")

    for _ in range(100):
        with pytest.raises(DecodeError, match="no such schema"):
            await asking.ask(7, question)
    assert asked == 1
    now += 30
    with pytest.raises(DecodeError):
        await asking.ask(7, question)
    assert asked == 2


async def test_of_very_many_questions_without_an_answer_not_all_are_asked() -> None:
    now, asked = 0.0, 0
    asking = PatientAsking(clock=lambda: now)

    async def fails() -> None:
        nonlocal asked
        asked += 1
        raise DecodeError("no such schema")

    async def answers() -> None: ...

    for number in range(1000):
        with pytest.raises(DecodeError):
            await asking.ask(number, fails)
    assert asked == 100
    with pytest.raises(DecodeError, match="was not asked for the schema of this body"):
        await asking.ask("good", answers)
    now += 0.5
    for number in range(200):
        await asking.ask(("good", number), answers)
    for number in range(1000, 2000):
        with pytest.raises(DecodeError):
            await asking.ask(number, fails)
    assert asked == 125
    now += 60
    await asking.ask("good", answers)


async def test_a_registry_that_does_not_answer_refuses_nothing() -> None:
    asking = PatientAsking()

    async def down() -> None:
        raise RegistryUnavailable("down")

    for number in range(1000):
        with pytest.raises(RegistryUnavailable, match="down"):
            await asking.ask(number, down)


async def test_nobody_waits_long_for_a_slow_answer() -> None:
    asking, answered = PatientAsking(), asyncio.Event()

    async def question() -> None:
        await answered.wait()

    async def other() -> None: ...

    with pytest.raises(RegistryUnavailable, match="has not answered yet"):
        async with asyncio.timeout(5):
            await asking.ask("slow", question)
    with pytest.raises(RegistryUnavailable, match="has not answered yet"):
        async with asyncio.timeout(0.5):
            await asking.ask("slow", question)
    async with asyncio.timeout(0.5):
        await asking.ask("quick", other)
    answered.set()
    async with asyncio.timeout(5):
        while not await _is_answered(asking.ask("slow", question)):  # noqa: ASYNC110
            await asyncio.sleep(0)


async def _is_answered(asked: Awaitable[None]) -> bool:
    try:
        await asked
    except RegistryUnavailable:
        return False
    return True


async def test_who_is_cancelled_does_not_take_the_answer_from_the_others() -> None:
    asking, answered = PatientAsking(), asyncio.Event()

    async def question() -> None:
        await answered.wait()

    first, second = (asyncio.create_task(asking.ask("a", question)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    answered.set()
    await second
    assert first.cancelled()
