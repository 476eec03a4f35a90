"""With eager tasks, which run before whoever makes them has them: everything in memory works."""

import asyncio
import contextvars
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

import pytest

from dispytch import (
    DeadLetters,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    RetryPolicy,
)
from dispytch.backends import backend_from
from dispytch.exceptions import BrokerUnreachable
from dispytch.memory import MemoryBackend
from dispytch.messages import Lease
from dispytch.transport import Subscription, Topology

EAGER: Any = vars(asyncio).get("eager_task_factory")
if EAGER is None:
    pytest.skip("eager tasks came with Python 3.12", allow_module_level=True)

PATIENCE = 10.0


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
async def _eager() -> None:
    asyncio.get_running_loop().set_task_factory(EAGER)


class Placed(EventBase):
    __topic__ = "orders"
    __event_type__ = "placed"
    __key__ = "{customer}"

    number: int
    customer: int


class Priced(EventBase):
    __topic__ = "prices"
    __event_type__ = "priced"

    number: int


_SEEN: contextvars.ContextVar[int] = contextvars.ContextVar("seen")


def shop(handled: Counter[int], broken: set[int]) -> HandlerGroup:
    group = HandlerGroup()

    @group.handler(topic="orders", event="placed", retry=RetryPolicy(attempts=2, delay=0.01))
    async def ship(event: Event[Placed], emitter: EventEmitter) -> None:
        _SEEN.set(event.body.number)
        if event.body.number in broken:
            raise ValueError("no address")
        if event.body.number % 10 == 0:
            await emitter.emit(Priced(number=event.body.number))
        handled[event.body.number] += 1

    @group.handler(topic="prices", event="priced")
    async def price(event: Event[Priced]) -> int:
        return event.body.number * 2

    return group


async def test_events_flow_fail_are_replayed_and_drain() -> None:
    url = f"memory://{uuid.uuid4().hex}"
    handled, broken = Counter[int](), {3, 33}
    listener = EventListener(url, group="shop", concurrency=8)
    listener.add_handler_group(shop(handled, broken))
    async with asyncio.timeout(PATIENCE), EventEmitter(url) as emitter, listener:
        for number in range(20):
            await emitter.emit(Placed(number=number, customer=number % 5))
        await emitter.emit_many([Placed(number=n, customer=n % 5) for n in range(20, 200)])
        await until(lambda: len(handled) == 198 and listener.outcomes.dead_lettered == 2)
        broken.clear()
        letters = DeadLetters(url, topic="orders", group="shop")
        await letters.replay()
        await until(lambda: len(handled) == 200)
        assert await emitter.request(Priced(number=4), reply=int, timeout=PATIENCE) == 8
    assert handled == Counter(range(200))


async def test_a_way_for_replies_that_cannot_be_opened_at_once_can_be_opened_later() -> None:
    class Away(MemoryBackend):
        away = True

        def consumer(self, subscription: Subscription, on_revoke: object) -> object:  # type: ignore[override]  # pyright: ignore
            if self.away:
                raise BrokerUnreachable("away")
            return super().consumer(subscription, on_revoke)  # type: ignore[arg-type]  # pyright: ignore

    backend = Away()
    listener = EventListener(backend, group="shop")
    listener.add_handler_group(shop(Counter(), set()))
    async with asyncio.timeout(PATIENCE), EventEmitter(backend) as emitter:
        for _ in range(2):
            with pytest.raises(BrokerUnreachable):
                await emitter.request(Priced(number=4), reply=int, timeout=PATIENCE)
        backend.away = False
        async with listener:
            assert await emitter.request(Priced(number=4), reply=int, timeout=PATIENCE) == 8


async def test_the_probe_works() -> None:
    handled = Counter[int]()
    listener = EventListener("memory://", group="shop")
    listener.add_handler_group(shop(handled, {3}))
    async with listener.test() as probe:
        for number in range(5):
            await probe.emit(Placed(number=number, customer=number))
        await probe.settled()
        assert [letter.reason for letter in probe.dead_lettered] == ["failed"]
        assert probe.emitted.of(Priced) == [Priced(number=0)]
    assert handled == Counter({0: 1, 1: 1, 2: 1, 4: 1})


async def test_members_come_and_go() -> None:
    backend = backend_from(f"memory://{uuid.uuid4().hex}?partitions=4")
    await backend.prepare(Topology(topics=("orders",), group="shop"))
    subscription = Subscription(group="shop", topics=("orders",), max_in_flight=10)

    async def nothing_to_drain(_: Collection[Lease]) -> None:
        """At once."""

    async with asyncio.timeout(PATIENCE), backend.consumer(subscription, nothing_to_drain) as one:
        for _ in range(3):
            async with backend.consumer(subscription, nothing_to_drain) as other:
                await until(lambda: len(one.leases) == len(other.leases) == 2)
            await until(lambda: len(one.leases) == 4)
