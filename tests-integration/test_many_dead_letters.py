"""Dead letters in large numbers: read whole, by one reader at a time, and kept in their order."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from dispytch import DeadLetters
from dispytch.backends import backend_from
from dispytch.dead_letters import HANDLER, ID, ORIGINAL_TOPIC, REASON
from dispytch.exceptions import ConfigurationError, GroupTaken
from dispytch.messages import Message
from dispytch.redelivery import replay_group
from dispytch.transport import Topology

MANY = 20_000


class Shelf:
    """The dead letters of one group, as many as a test needs."""

    def __init__(self, url: str, unique: str) -> None:
        self.url, self.topic, self.group = url, f"orders.{unique}", f"shop.{unique}"
        self.letters = DeadLetters(url, topic=self.topic, group=self.group)

    async def fill(self, count: int) -> None:
        backend = backend_from(self.url)
        kept = Topology(topics=(self.letters.topic,), group=replay_group(self.group))
        await backend.prepare(Topology(topics=(f"{self.group}.retry",), group=self.group))
        await backend.prepare(kept)
        async with backend.producer() as producer:
            for start in range(0, count, 1000):
                numbers = range(start, min(count, start + 1000))
                await producer.send([self._letter(number) for number in numbers])

    async def numbers(self, **options: int) -> list[int]:
        return [int(letter.value) for letter in await self.letters.read(**options)]

    def _letter(self, number: int) -> Message:
        headers = [
            (ID, f"letter-{number}".encode()),
            (REASON, b"failed"),
            (HANDLER, b"shop.ship"),
            (ORIGINAL_TOPIC, self.topic.encode()),
        ]
        return Message(self.letters.topic, b"%d" % number, b"one", headers)


@pytest.fixture
def shelf(broker_url: str, unique: str) -> Shelf:
    return Shelf(broker_url, unique)


@pytest.mark.timeout(300)
async def test_all_are_read_as_often_as_one_likes(shelf: Shelf) -> None:
    await shelf.fill(MANY)
    assert await shelf.numbers(limit=MANY) == list(range(MANY))
    assert await shelf.numbers(limit=3 * MANY) == list(range(MANY))
    assert await shelf.numbers() == list(range(1000))
    assert await shelf.numbers(limit=1) == [0]
    assert await shelf.numbers(limit=MANY) == list(range(MANY))


async def test_what_was_only_looked_at_keeps_its_order(shelf: Shelf) -> None:
    await shelf.fill(500)
    for limit in (500, 10, 10, 1, 499, 500, 2, 600):
        assert await shelf.numbers(limit=limit) == list(range(min(500, limit)))
    assert await shelf.letters.replay(limit=3) == 3
    for limit in (7, 500):
        assert await shelf.numbers(limit=limit) == list(range(3, 500))[:limit]


async def test_a_replay_of_few_among_many_keeps_the_others_in_order(shelf: Shelf) -> None:
    await shelf.fill(300)
    assert await shelf.letters.replay(limit=5) == 5
    left = list(range(5, 300))
    assert await shelf.numbers() == left
    chosen = {f"letter-{number}" for number in (7, 100, 101, 299)}
    assert await shelf.letters.replay(ids=chosen, limit=3) == 3
    left = [number for number in left if number not in (7, 100, 101)]
    assert await shelf.numbers() == left
    assert await shelf.letters.replay(ids=chosen) == 1
    assert await shelf.numbers() == left[:-1]


async def test_a_second_reader_is_refused_and_told_so(shelf: Shelf) -> None:
    await shelf.fill(50)
    other = Shelf(shelf.url, shelf.topic.removeprefix("orders."))
    replaying = asyncio.create_task(shelf.letters.replay(rate=3))
    await asyncio.sleep(3)
    for refused in (other.letters.read, other.letters.replay):
        with pytest.raises(GroupTaken, match="only one may"):
            await refused()
    assert await replaying == 50
    assert await other.numbers() == []


async def test_two_replays_at_once_repeat_nothing(shelf: Shelf) -> None:
    await shelf.fill(500)
    replays = await asyncio.gather(
        *(shelf.letters.replay() for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(one, int | GroupTaken) for one in replays), replays
    sent = sum(one for one in replays if isinstance(one, int))
    assert sent == 500 - len(await shelf.numbers())


READER = """
import asyncio, sys
from dispytch import DeadLetters
url, topic, group = sys.argv[1:]
async def read():
    letters = DeadLetters(url, topic=topic, group=group)
    def edit(letter):
        print("replaying", flush=True)
        return letter.delivery
    await letters.replay(ids=["letter-10", "letter-2000"], edit=edit, rate=0.1)
asyncio.run(read())
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
async def test_one_that_is_killed_or_interrupted_loses_none(shelf: Shelf, end: int) -> None:
    if shelf.url.startswith("memory"):
        pytest.skip("the broker ends with the process")
    await shelf.fill(3000)
    arguments = [shelf.url, shelf.topic, shelf.group]
    replaying = await asyncio.create_subprocess_exec(
        sys.executable, "-c", READER, *arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert replaying.stdout is not None
    async with asyncio.timeout(60):
        await replaying.stdout.readline()
    os.kill(replaying.pid, end)
    await replaying.wait()
    async with asyncio.timeout(60):
        numbers: Sequence[int] = ()
        while not numbers:
            try:
                numbers = await shelf.numbers(limit=5000)
            except GroupTaken:
                await asyncio.sleep(0.5)
    assert set(numbers) >= set(range(3000)) - {10}
    assert len(numbers) <= 3010, "those of the last moment may be there twice"


@pytest.mark.parametrize("value", [0, -1, 1.5, True, float("nan")])
async def test_what_makes_no_sense_is_refused(shelf: Shelf, value: float) -> None:
    with pytest.raises(ConfigurationError, match="limit"):
        await shelf.letters.read(limit=value)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="limit"):
        await shelf.letters.replay(limit=value)  # type: ignore[arg-type]
    for rate in (0, -1, float("nan"), float("inf"), True):
        with pytest.raises(ConfigurationError, match="rate"):
            await shelf.letters.replay(rate=rate)
