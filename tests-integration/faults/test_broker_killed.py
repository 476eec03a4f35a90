"""SIGKILL of the broker: producer and service go on, without a restart of either."""

import asyncio

from brokers.broker import Broker
from faults.scene import Scene, assert_kept, until
from faults.step import rounds

EVENTS, KEYS = 5_000, 200
WINDOW = 256
CONCURRENCY = 32
HANDLER = 0.05
QUORUM_SETTLES = 6.0
"""Seconds that a quorum queue must have stood before its node may be killed."""


async def test_the_broker_is_killed_in_mid_flow(scene: Scene, broker: Broker) -> None:
    service = await scene.started(
        shortest=HANDLER, longest=HANDLER, concurrency=CONCURRENCY, max_in_flight=WINDOW
    )
    if not scene.is_kafka:
        await asyncio.sleep(QUORUM_SETTLES)
    batches = rounds(scene.topic, events=EVENTS, keys=KEYS)
    emitting = asyncio.create_task(scene.emit(batches, pause=0.2))
    await until(lambda: scene.runs() >= EVENTS // 4, "it is in mid-flow", within=30)
    assert not emitting.done()
    await asyncio.to_thread(broker.kill)
    await asyncio.to_thread(broker.start)
    await scene.until_handled(EVENTS, within=60)
    await emitting
    ledger = scene.ledger()
    print(f"{ledger.duplicates} duplicates, {scene.emitted_again} events emitted again")
    # The producer may have sent one batch whose confirmation never came, and sends it again.
    bound = scene.repeats(window=WINDOW, rate=CONCURRENCY / HANDLER, longest=HANDLER) + KEYS
    assert_kept(ledger, duplicates=bound)
    assert scene.emitted_again == 0
    assert service.running
    await service.stopped()
