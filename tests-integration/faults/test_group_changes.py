"""Services join and leave all the time: a key is never with two of them at once."""

import asyncio

import pytest
from faults.scene import Scene, assert_kept, until
from faults.step import rounds

EVENTS, KEYS = 5_000, 1_000
CHANGES = 4
SLOW = {
    "shortest": 0.6,
    "longest": 1.2,
    "concurrency": 80,
    "max_in_flight": 1_600,
    "drain_timeout": 8.0,
}


async def test_no_two_services_handle_one_key_at_once_while_the_group_changes(
    sharing: Scene,
) -> None:
    await asyncio.gather(sharing.started(**SLOW), sharing.started(**SLOW))
    emitting = asyncio.create_task(sharing.emit(rounds(sharing.topic, events=EVENTS, keys=KEYS)))
    for _ in range(CHANGES):
        third = sharing.start(**SLOW)
        await until(lambda one=third: sharing.begun(one) > 40, "the third has its share", within=20)
        await third.stopped()
    await emitting
    await sharing.until_handled(EVENTS, within=60)
    ledger = sharing.ledger()
    by_process = {run.pid for run in ledger.runs}
    print(f"{len(by_process)} services, {ledger.most_at_once} handlers at once at most")
    assert ledger.overlaps == []
    assert (ledger.interrupted, ledger.cut) == (0, 0)
    assert_kept(ledger, duplicates=0)
    assert len(by_process) == 2 + CHANGES


@pytest.fixture(params=["kafka", "rabbitmq"])
def sharing(request: pytest.FixtureRequest) -> Scene:
    """A scene on each broker that keeps a key's order in a group of several."""
    scene: Scene = request.getfixturevalue(f"on_{request.param}")
    if not scene.is_kafka:
        scene.url += "?partitions=6"
    return scene
