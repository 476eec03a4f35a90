"""Many events over many keys: each handled once, in the order of its key."""

import asyncio
import random
from collections import defaultdict

import pytest

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup

EVENTS, KEYS, CONCURRENCY = 20_000, 500, 64


class Moved(EventBase):
    """The n-th movement of an account."""

    __topic__ = "movements.{run}"
    __event_type__ = "moved"
    __key__ = "{account}"

    run: str
    account: int
    number: int


class Ledger:
    """Notes what was handled, and whether two handlers of one key ever ran at once."""

    def __init__(self) -> None:
        self.seen: dict[int, list[int]] = defaultdict(list)
        self.count = 0
        self.most_at_once = 0
        self.done = asyncio.Event()
        self._running: set[int] = set()

    async def note(self, movement: Moved) -> None:
        assert movement.account not in self._running, "two events of one key at once"
        self._running.add(movement.account)
        self.most_at_once = max(self.most_at_once, len(self._running))
        for _ in range(random.randrange(3)):
            await asyncio.sleep(0)
        self._running.remove(movement.account)
        self.seen[movement.account].append(movement.number)
        self.count += 1
        if self.count >= EVENTS:
            self.done.set()


def movements(run: str) -> list[Moved]:
    """Shuffled over the accounts, numbered in order within each."""
    accounts = [n % KEYS for n in range(EVENTS)]
    random.Random(7).shuffle(accounts)
    numbers: dict[int, int] = defaultdict(int)
    made = []
    for account in accounts:
        numbers[account] += 1
        made.append(Moved(run=run, account=account, number=numbers[account]))
    return made


@pytest.mark.timeout(180)
async def test_all_are_handled_once_and_in_order_per_key(broker_url: str, unique: str) -> None:
    ledger = Ledger()
    group = HandlerGroup()

    @group.handler(topic=f"movements.{unique}", event="moved")
    async def note(event: Event[Moved]) -> None:
        await ledger.note(event.body)

    listener = EventListener(broker_url, group=f"ledger-{unique}", concurrency=CONCURRENCY)
    listener.add_handler_group(group)
    async with listener, EventEmitter(broker_url) as emitter:
        async with asyncio.timeout(120):
            emitted = movements(unique)
            for start in range(0, EVENTS, 1000):
                await emitter.emit_many(emitted[start : start + 1000])
            await ledger.done.wait()
    expected = list(range(1, EVENTS // KEYS + 1))
    assert {
        account: numbers for account, numbers in ledger.seen.items() if numbers != expected
    } == {}
    assert len(ledger.seen) == KEYS
    assert ledger.count == EVENTS
    assert 1 < ledger.most_at_once <= CONCURRENCY
    assert listener.outcomes.handled == EVENTS
