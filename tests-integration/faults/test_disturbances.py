"""Connections closed, queues and topics deleted, publishers blocked: the service goes on."""

import asyncio

from brokers.local_rabbitmq import LocalRabbitMQ
from faults.broker_views import Queues, kafka_admin, kafka_places
from faults.scene import Scene, assert_kept, until
from faults.step import rounds

EVENTS, KEYS = 5_000, 200
WINDOW = 256
CONCURRENCY = 32
HANDLER = 0.03
SETTINGS = {
    "shortest": HANDLER,
    "longest": HANDLER,
    "concurrency": CONCURRENCY,
    "max_in_flight": WINDOW,
}
CLOSINGS = 3


async def test_connections_are_closed_by_the_broker(
    on_rabbitmq: Scene, node: LocalRabbitMQ
) -> None:
    scene = on_rabbitmq
    service = await scene.started(**SETTINGS)
    batches = rounds(scene.topic, events=EVENTS, keys=KEYS)
    emitting = asyncio.create_task(scene.emit(batches, pause=0.15))
    for _ in range(CLOSINGS):
        more = scene.runs() + 800
        await until(lambda more=more: scene.runs() >= more, "it handles on", within=30)
        assert await asyncio.to_thread(node.close_connections) >= 2
    await emitting
    await scene.until_handled(EVENTS, within=40)
    ledger = scene.ledger()
    print(f"{ledger.duplicates} duplicates, {scene.emitted_again} emitted again")
    # At each closing the service's window comes again, and one batch of the producer's may.
    assert_kept(ledger, duplicates=CLOSINGS * (WINDOW + KEYS))
    assert service.running


async def test_a_queue_is_deleted(on_rabbitmq: Scene, node: LocalRabbitMQ) -> None:
    scene = on_rabbitmq
    service = await scene.started(**SETTINGS)
    batches = rounds(scene.topic, events=EVENTS, keys=KEYS)
    half = len(batches) // 2
    await scene.emit(batches[:half])
    # What is in a queue when it is deleted is gone with it, so it is emptied first.
    await scene.until_handled(half * KEYS, within=40)
    queues = Queues(node, scene.url)
    name = f"{scene.topic}:{scene.group}"
    await until(lambda: queues.counts(name) == (0, 0), "the queue is empty", within=10)
    await asyncio.to_thread(queues.delete, name)
    await scene.emit(batches[half:])
    await scene.until_handled(EVENTS, within=40)
    ledger = scene.ledger()
    print(f"{ledger.duplicates} duplicates, {scene.emitted_again} emitted again")
    assert_kept(ledger, duplicates=0)
    assert service.running


async def test_publishers_are_blocked_by_a_memory_alarm(
    on_rabbitmq: Scene, node: LocalRabbitMQ
) -> None:
    scene = on_rabbitmq
    service = await scene.started(**SETTINGS)
    batches = rounds(scene.topic, events=EVENTS, keys=KEYS)
    emitting = asyncio.create_task(scene.emit(batches, pause=0.1))
    await until(lambda: scene.runs() >= 1_000, "it is in mid-flow", within=30)
    with node.memory_alarm():
        await asyncio.sleep(0.5)
        emitted = len(scene.emitted)
        # What is there is handled to its end while nothing new may be emitted.
        await scene.until_handled(emitted - KEYS, within=20)
        await asyncio.sleep(1)
        assert len(scene.emitted) == emitted < EVENTS
        assert service.health.healthy, service.health
    await emitting
    await scene.until_handled(EVENTS, within=40)
    assert_kept(scene.ledger(), duplicates=KEYS)
    assert scene.emitted_again == 0


async def committed(scene: Scene) -> None:
    """Return once the group has committed all that is in the topic."""
    async with asyncio.timeout(10):
        while any(  # noqa: ASYNC110 - the broker has no event for that
            place != end
            for place, end in (await kafka_places(scene.url, scene.topic, scene.group)).values()
        ):
            await asyncio.sleep(0.1)


async def test_a_topic_is_deleted_and_made_again(on_kafka: Scene) -> None:
    scene = on_kafka
    service = await scene.started(**SETTINGS)
    batches = rounds(scene.topic, events=EVENTS, keys=KEYS)
    first = len(batches) // 5
    await scene.emit(batches[:first])
    # What is in a topic when it is deleted is gone with it, so all of it is handled first.
    await scene.until_handled(first * KEYS, within=40)
    # A commit that is still to come would be taken by the new topic, with the old one's offsets.
    await committed(scene)
    async with kafka_admin(scene.url) as admin:
        await admin.delete_topics([scene.topic])
    # There is soon more in the new topic than there ever was in the old one.
    await scene.emit(batches[first:])
    await scene.until_handled(EVENTS, within=40)
    ledger = scene.ledger()
    print(f"{ledger.duplicates} duplicates, {scene.emitted_again} emitted again")
    # Where the group goes on in the new topic before it has learned of it, it begins anew.
    assert_kept(
        ledger, duplicates=scene.repeats(window=WINDOW, rate=CONCURRENCY / HANDLER, longest=HANDLER)
    )
    assert service.running
