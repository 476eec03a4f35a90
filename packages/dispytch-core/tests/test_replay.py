"""Dead letters from failure to replay, on the in-memory backend."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel

from dispytch import (
    DeadLetter,
    DeadLetters,
    DeadLetterTopic,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
)
from dispytch.exceptions import ConfigurationError, GroupTaken
from dispytch.messages import Message


class Order(BaseModel):
    number: int


class Placed(EventBase):
    __topic__ = "orders"
    __event_type__ = "placed"
    __key__ = "{number}"

    number: int


class Shop:
    """A service with one handler that fails as long as it is broken, and one that never does."""

    def __init__(self) -> None:
        self.url = f"memory://{uuid4().hex}"
        self.broken = True
        self.shipped: list[int] = []
        self.counted: list[int] = []
        self.group = HandlerGroup(default_topic="orders")
        self.group.handler(event="placed")(self.ship)
        self.group.handler(event="placed")(self.count)
        self.letters = DeadLetters(self.url, topic="orders", group="shop")

    async def ship(self, event: Event[Order]) -> None:
        if self.broken:
            raise ValueError(f"no stock for {event.body.number}")
        self.shipped.append(event.body.number)

    async def drop(self, event: Event[Order]) -> None:
        raise ValueError

    async def count(self, event: Event[Order]) -> None:
        self.counted.append(event.body.number)

    def listener(self, **options: Any) -> EventListener:
        listener = EventListener(self.url, group="shop", **options)
        listener.add_handler_group(self.group)
        return listener

    async def fail(self, count: int) -> None:
        """Have so many events become dead letters."""
        async with self.listener() as listener, EventEmitter(self.url) as emitter:
            await emitter.emit_many([Placed(number=n) for n in range(count)])
            await until(lambda: listener.outcomes.dead_lettered == count)
        self.broken = False


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def numbers(letters: list[DeadLetter]) -> list[int]:
    return sorted(Order.model_validate_json(letter.value).number for letter in letters)


async def test_letters_are_read_as_often_as_one_likes(shop: Shop) -> None:
    await shop.fail(5)
    for _ in range(2):
        letters = await shop.letters.read()
        assert numbers(letters) == [0, 1, 2, 3, 4]
    letter = next(one for one in letters if one.key == b"3")
    assert letter.reason == "failed"
    assert letter.error == "builtins.ValueError: no stock for 3"
    assert letter.handler is not None
    assert letter.handler.endswith("Shop.ship")
    assert (letter.topic, letter.attempts) == ("orders", 1)
    assert letter.failed_at is not None
    assert letter.failed_at.tzinfo is not None
    assert letter.traceback is not None
    assert "no stock" in letter.traceback
    assert not any(name.startswith("dispytch-") for name, _ in letter.headers)
    assert len(await shop.letters.read(limit=2)) == 2
    assert numbers(await shop.letters.read(select=lambda one: one.key == b"1")) == [1]


@pytest.mark.parametrize("value", [0, -1, 1.5, True, float("nan"), "5"])
async def test_limits_and_rates_that_make_no_sense_are_refused(shop: Shop, value: Any) -> None:
    await shop.fail(1)
    with pytest.raises(ConfigurationError, match="limit"):
        await shop.letters.read(limit=value)
    with pytest.raises(ConfigurationError, match="limit"):
        await shop.letters.replay(limit=value)
    if value != 1.5:
        with pytest.raises(ConfigurationError, match="rate"):
            await shop.letters.replay(rate=value)
    assert len(await shop.letters.read()) == 1


async def test_what_is_put_back_keeps_its_order(shop: Shop) -> None:
    await shop.fail(30)
    before = [letter.id for letter in await shop.letters.read()]
    chosen = {before[3], before[4], before[20]}
    assert await shop.letters.replay(ids=chosen, limit=2) == 2
    left = [one for one in before if one not in (before[3], before[4])]
    after = [letter.id for letter in await shop.letters.read()]
    assert sorted(after) == sorted(left)
    streams: dict[str, list[str]] = {}
    for letter in await shop.letters.read():
        streams.setdefault(letter.delivery.lease.stream, []).append(letter.id)
    for ids in streams.values():
        assert ids == [one for one in left if one in ids]


async def test_two_read_at_once_and_one_is_refused(shop: Shop) -> None:
    await shop.fail(10)
    replaying = asyncio.create_task(shop.letters.replay(rate=100))
    await asyncio.sleep(0.03)
    with pytest.raises(GroupTaken, match="only one may"):
        await shop.letters.read()
    assert await replaying == 10


async def test_a_replay_reaches_the_failed_handler_alone(shop: Shop) -> None:
    await shop.fail(5)
    assert await shop.letters.replay() == 5
    assert await shop.letters.read() == []
    assert await shop.letters.replay() == 0
    async with shop.listener():
        await until(lambda: len(shop.shipped) == 5)
    assert sorted(shop.shipped) == [0, 1, 2, 3, 4]
    assert sorted(shop.counted) == [0, 1, 2, 3, 4], "once, when they came first"


async def test_those_that_are_not_meant_stay(shop: Shop) -> None:
    await shop.fail(20)
    some = await shop.letters.read(select=lambda one: one.key in (b"3", b"4"))
    assert await shop.letters.replay(ids=[letter.id for letter in some]) == 2
    rest = await shop.letters.read()
    assert numbers(rest) == [n for n in range(20) if n not in (3, 4)]
    assert await shop.letters.replay(select=lambda one: one.key == b"7") == 1
    assert await shop.letters.replay(limit=5) == 5
    assert len(await shop.letters.read()) == 12
    async with shop.listener():
        await until(lambda: len(shop.shipped) == 8)
    assert len(set(shop.shipped)) == 8


async def test_a_letter_can_be_edited_on_its_way(shop: Shop) -> None:
    await shop.fail(1)

    def corrected(letter: DeadLetter) -> Message:
        return Message("", b'{"number": 99}', letter.key, letter.headers)

    assert await shop.letters.replay(edit=corrected) == 1
    async with shop.listener():
        await until(lambda: shop.shipped == [99])


async def test_a_rate_holds_it_back(shop: Shop) -> None:
    await shop.fail(4)
    began = asyncio.get_running_loop().time()
    assert await shop.letters.replay(rate=40) == 4
    assert asyncio.get_running_loop().time() - began >= 0.1


async def test_what_fails_again_is_a_dead_letter_again(shop: Shop) -> None:
    await shop.fail(1)
    shop.broken = True
    (first,) = await shop.letters.read()
    assert await shop.letters.replay() == 1
    async with shop.listener() as listener:
        await until(lambda: listener.outcomes.dead_lettered == 1)
    (second,) = await shop.letters.read()
    assert second.id != first.id
    assert (second.value, second.key, second.headers) == (first.value, first.key, first.headers)
    assert second.topic == "orders"


async def test_a_replay_to_a_running_service_that_still_fails_comes_to_an_end(shop: Shop) -> None:
    await shop.fail(20)
    shop.broken = True
    async with shop.listener() as listener:
        assert await asyncio.wait_for(shop.letters.replay(), 10) == 20
        await until(lambda: listener.outcomes.dead_lettered == 20)
    assert numbers(await shop.letters.read()) == list(range(20))
    shop.broken = False
    assert await shop.letters.replay() == 20


async def test_a_group_s_policy_reaches_the_handlers_that_have_none(shop: Shop) -> None:
    inner = HandlerGroup(default_topic="orders", dead_letter=DeadLetterTopic("of-the-group"))
    inner.handler()(shop.ship)
    inner.handler(dead_letter="drop")(shop.drop)
    outer = HandlerGroup(dead_letter="halt")
    outer.add_handler_group(inner)
    listener = EventListener(shop.url, group="shop")
    listener.add_handler_group(outer)
    async with listener, EventEmitter(shop.url) as emitter:
        await emitter.emit(Placed(number=1))
        await until(lambda: listener.outcomes.dead_lettered == 1)
        await until(lambda: listener.outcomes.dropped == 1)
    letters = DeadLetters(
        shop.url, topic="orders", group="shop", destination=DeadLetterTopic("of-the-group")
    )
    assert numbers(await letters.read()) == [1]


async def test_a_destination_of_one_s_own(shop: Shop) -> None:
    where = DeadLetterTopic("{group}-failures")
    async with shop.listener(dead_letter=where) as listener, EventEmitter(shop.url) as emitter:
        await emitter.emit(Placed(number=1))
        await until(lambda: listener.outcomes.dead_lettered == 1)
    letters = DeadLetters(shop.url, topic="orders", group="shop", destination=where)
    assert letters.topic == "shop-failures"
    assert numbers(await letters.read()) == [1]


async def test_health_says_how_it_is(shop: Shop) -> None:
    listener = shop.listener()
    assert (await listener.health()).problems == ("the listener is not running",)
    async with listener, EventEmitter(shop.url) as emitter:
        health = await listener.health()
        assert health.healthy
        assert (health.connected, health.intake) == (True, True)
        assert "orders[0]" in health.streams
        await emitter.emit(Placed(number=1))
        await until(lambda: listener.outcomes.dead_lettered == 1)
        health = await listener.health()
        assert health
        assert "no stock for 1" in str(health.last_error)
        assert set(health.lag.values()) == {0}


async def test_a_stuck_event_turns_health_red(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    group, go_on = HandlerGroup(default_topic="orders"), asyncio.Event()

    @group.handler()
    async def stuck(event: Event[Order]) -> None:
        await go_on.wait()

    listener = EventListener(shop.url, group="stuck", stuck_after=0.05)
    listener.add_handler_group(group)
    async with listener, EventEmitter(shop.url) as emitter:
        await emitter.emit(Placed(number=1))
        await asyncio.sleep(0.1)
        health = await listener.health()
        assert not health
        assert "stuck_after=0.05" in health.problems[0]
        assert health.in_flight == 1
        assert health.oldest is not None
        await until(lambda: "stuck_after" in caplog.text)
        go_on.set()
        await until(lambda: listener.outcomes.handled == 1)
        assert (await listener.health()).oldest is None


def test_topic_and_group_are_needed() -> None:
    with pytest.raises(ConfigurationError, match="topic and the group"):
        DeadLetters("memory://x", topic="", group="g")
