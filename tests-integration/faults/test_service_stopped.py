"""SIGTERM of a service whose handlers are slow: a clean end, and nothing is handled twice."""

import asyncio

from faults.scene import Scene, assert_kept
from faults.step import rounds

EVENTS, KEYS = 5_000, 200
STOPS = 3
DRAIN_TIMEOUT = 10.0
SLOW = {
    "shortest": 0.05,
    "longest": 0.5,
    "concurrency": 150,
    "max_in_flight": 1_500,
    "drain_timeout": DRAIN_TIMEOUT,
}


async def test_a_service_stopped_in_mid_flow_repeats_nothing(scene: Scene) -> None:
    service = await scene.started(**SLOW)
    emitting = asyncio.create_task(scene.emit(rounds(scene.topic, events=EVENTS, keys=KEYS)))
    for _ in range(STOPS):
        await scene.until_in_mid_flow(service, more=700, running=20)
        running = scene.running(service)
        seconds = await service.stopped(within=DRAIN_TIMEOUT)
        print(f"ended after {seconds:.2f} s, {running} handlers were running")
        assert scene.running(service) == 0
        service = await scene.started(**SLOW)
    await emitting
    await scene.until_handled(EVENTS, within=60)
    ledger = scene.ledger()
    assert_kept(ledger, duplicates=0)
    assert (ledger.interrupted, ledger.cut) == (0, 0)
    assert ledger.overlaps == []
