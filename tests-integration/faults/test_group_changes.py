"""Services join and leave all the time: a key is never with two of them at once."""

import asyncio
from collections.abc import Iterator

import pytest
from faults.scene import Scene, assert_kept, until
from faults.step import Step, rounds

EVENTS, KEYS = 5_000, 1_000
CHANGES = 4
PAUSE = 4.0
"""Seconds between two rounds of all keys: a little less than the services need for one."""
SLOW = {
    "shortest": 0.6,
    "longest": 1.2,
    "concurrency": 80,
    "max_in_flight": 1_600,
    "drain_timeout": 8.0,
}


@pytest.mark.timeout(300)
async def test_no_two_services_handle_one_key_at_once_while_the_group_changes(
    sharing: Scene,
) -> None:
    await asyncio.gather(sharing.started(**SLOW), sharing.started(**SLOW))
    changing = asyncio.create_task(changes(sharing))
    await sharing.emit(rounds_until_done(sharing.topic, changing), pause=PAUSE)
    await changing
    await sharing.until_handled(len(sharing.emitted), within=90)
    ledger = sharing.ledger()
    by_process = {run.pid for run in ledger.runs}
    print(f"{len(by_process)} services, {ledger.most_at_once} handlers at once at most")
    assert ledger.overlaps == []
    assert (ledger.interrupted, ledger.cut) == (0, 0)
    assert_kept(ledger, duplicates=0)
    assert len(by_process) == 2 + CHANGES


async def changes(scene: Scene) -> None:
    """One more service comes, and leaves once it has had its share; several times."""
    for _ in range(CHANGES):
        third = scene.start(**SLOW)
        await until(lambda one=third: scene.begun(one) > 40, "the third has its share", within=40)
        await third.stopped()


def rounds_until_done(topic: str, changing: asyncio.Task[None]) -> Iterator[list[Step]]:
    """So that there is always something to do while the group changes, however long that takes."""
    for number, batch in enumerate(rounds(topic, events=10 * EVENTS, keys=KEYS)):
        if number * KEYS >= EVENTS and changing.done():
            return
        yield batch


@pytest.fixture(params=["kafka", "rabbitmq"])
def sharing(request: pytest.FixtureRequest) -> Scene:
    """A scene on each broker that keeps a key's order in a group of several."""
    scene: Scene = request.getfixturevalue(f"on_{request.param}")
    if not scene.is_kafka:
        scene.url += "?partitions=6"
    return scene
