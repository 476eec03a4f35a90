"""A deep backlog before a slow handler: events in flight are bounded, and memory is flat.

``FAULT_BACKLOG=1000000`` makes it as deep.
"""

import asyncio
import os
import time

import pytest
from brokers.local_rabbitmq import LocalRabbitMQ
from faults.broker_views import Queues, kafka_places
from faults.scene import Scene
from faults.step import rounds

KEYS = 1_000
WINDOW = 1_024
CONCURRENCY = 64
HANDLER = 0.05
WARM_UP = 4.0
SECONDS = 10.0
FLAT_MB = 12.0


def backlog(scene: Scene) -> int:
    """How deep it is."""
    return int(os.environ.get("FAULT_BACKLOG", "60000" if scene.is_kafka else "30000"))


@pytest.mark.timeout(600)
async def test_memory_is_flat_before_a_deep_backlog(
    scene: Scene, request: pytest.FixtureRequest
) -> None:
    depth = backlog(scene)
    await (await scene.started()).stopped()
    await scene.emit_all_at_once(rounds(scene.topic, events=depth, keys=KEYS, padding="x" * 300))
    service = await scene.started(
        shortest=HANDLER, longest=HANDLER, concurrency=CONCURRENCY, max_in_flight=WINDOW
    )
    await asyncio.sleep(WARM_UP)
    samples: list[float] = []
    in_flight = 0
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        samples.append(service.resident_mb)
        in_flight = max(in_flight, service.health.in_flight)
        await asyncio.sleep(0.1)
    grown = max(samples) - samples[0]
    print(
        f"{depth} events of backlog: {in_flight} in flight at most, memory from {samples[0]:.1f} "
        f"to {max(samples):.1f} MB, {scene.handled()} handled"
    )
    assert 0 < in_flight <= WINDOW
    assert grown < FLAT_MB
    await service.stopped()
    ledger = scene.ledger()
    assert ledger.handled < depth, "the backlog was not deep enough"
    assert ledger.most_at_once <= CONCURRENCY
    assert not ledger.disorder
    assert ledger.duplicates == 0
    assert ledger.interrupted == 0
    assert await left(scene, request) >= depth - ledger.handled


async def left(scene: Scene, request: pytest.FixtureRequest) -> int:
    """How many events the broker still has for the group."""
    if scene.is_kafka:
        places = await kafka_places(scene.url, scene.topic, scene.group)
        return sum(end - committed for committed, end in places.values())
    node: LocalRabbitMQ = request.getfixturevalue("node")
    return sum(Queues(node, scene.url).counts(f"{scene.topic}:{scene.group}"))
