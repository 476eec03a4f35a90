"""Partitions are added, and a topic is remade by the product's own emitter, on three nodes."""

import asyncio
from pathlib import Path

import pytest
from aiokafka.admin import NewPartitions
from cluster.kafka_cluster import KafkaCluster
from cluster.stage import PARTITIONS, SETTINGS, playing, repeats
from faults.broker_views import kafka_admin, kafka_places
from faults.scene import Scene, assert_kept
from faults.step import rounds

pytestmark = pytest.mark.timeout(300)
EVENTS, KEYS = 3_000, 100


async def test_partitions_are_added_while_events_flow(
    cluster: KafkaCluster, unique: str, tmp_path: Path
) -> None:
    async with playing(cluster, unique, tmp_path) as stage:
        async with kafka_admin(f"kafka://{cluster.plain}") as admin:
            await admin.create_partitions({stage.scene.topic: NewPartitions(2 * PARTITIONS)})
        await asyncio.sleep(5)
        await stage.flow()
    found = stage.reckoning()
    print(found)
    # Keys are spread anew, so their order is not promised here.
    assert (found.lost, found.overlaps) == (0, [])
    assert found.duplicates <= repeats(1, 2)


async def test_a_topic_is_remade_by_an_emitter(
    cluster: KafkaCluster, unique: str, tmp_path: Path
) -> None:
    url = f"kafka://{cluster.many}?partitions={PARTITIONS}"
    scene = Scene(url, f"steps-{unique}", f"walkers-{unique}", tmp_path)
    try:
        service = await scene.started(**SETTINGS)
        batches = rounds(scene.topic, events=EVENTS, keys=KEYS)
        first = len(batches) // 3
        await scene.emit(batches[:first])
        await scene.until_handled(first * KEYS, within=60)
        await _committed(cluster, scene)
        async with kafka_admin(f"kafka://{cluster.plain}") as admin:
            await admin.delete_topics([scene.topic])
        await scene.emit(batches[first:], patience=60)
        await scene.until_handled(EVENTS, within=60)
        assert service.running
        assert_kept(scene.ledger(), duplicates=repeats(1, 1) + scene.emitted_again)
    finally:
        scene.close()


async def _committed(cluster: KafkaCluster, scene: Scene) -> None:
    """Return once the group has committed all that is in the topic."""
    async with asyncio.timeout(20):
        while any(  # noqa: ASYNC110 - the broker has no event for that
            place != end
            for place, end in (
                await kafka_places(f"kafka://{cluster.plain}", scene.topic, scene.group)
            ).values()
        ):
            await asyncio.sleep(0.1)
