"""The dead-letter destination takes nothing for a while: nothing is settled, nothing is lost."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from brokers.local_rabbitmq import LocalRabbitMQ
from faults.broker_views import Queues, kafka_admin
from faults.scene import Scene, assert_kept, until
from faults.step import Step, rounds

from dispytch.backends import backend_from
from dispytch.transport import Topology

EVENTS, KEYS = 5_000, 200
SICK = 10
"""Keys that always fail; each has as many events as the others."""
LETTERS = EVENTS // KEYS * SICK
WINDOW = 512
SETTINGS = {
    "shortest": 0.02,
    "longest": 0.02,
    "concurrency": 32,
    "max_in_flight": WINDOW,
}

Change = Callable[[], Awaitable[None]]


async def test_nothing_is_lost_while_dead_letters_are_refused(
    scene: Scene, request: pytest.FixtureRequest
) -> None:
    batches = rounds(scene.topic, events=EVENTS, keys=KEYS)
    sick = {f"key-{number}" for number in range(SICK)}
    for step in (step for batch in batches for step in batch if step.key in sick):
        step.conduct = "fails"
    refuse, accept = destination(scene, request)
    service = await scene.started(**SETTINGS)
    await refuse()
    emitting = asyncio.create_task(scene.emit(batches))
    await until(lambda: not service.health.healthy, "health turns red", within=20)
    assert "takes nothing" in service.health.problems[0]
    await emitting
    handled_before = await at_rest(scene)
    assert service.health.in_flight > 0
    if scene.is_kafka:
        assert await scene.dead_letters() == []

    # Whatever a killed process had settled wrongly would be gone for good.
    service.kill()
    # It must not make a missing queue again by itself.
    never = scene.url + ("&" if "?" in scene.url else "?") + "declare=never"
    service = await scene.started(**SETTINGS, url=never)
    await until(lambda: not service.health.healthy, "health turns red again", within=20)
    await accept()
    good = EVENTS - LETTERS
    await scene.until_handled(good, within=60)
    await until(lambda: service.health.healthy, "health is well again", within=40)
    await until(lambda: service.health.in_flight == 0, "all is settled", within=40)
    # The first of each key was being refused when both topics took letters again: its letter may be
    # in the group's own topic, or by reference and so without a key.
    all_letters = [*await scene.refused_letters(), *await scene.dead_letters()]
    letters = [Step.model_validate_json(one.value or b"") for one in all_letters]
    by_key = {key: [one.number for one in letters if one.key == key] for key in sick}
    ledger = scene.ledger(dead=by_key)
    print(f"{handled_before} of {good} handled meanwhile, {ledger.duplicates} duplicates")
    # On Kafka a partition is committed up to its oldest unsettled event and no further.
    bound = handled_before if scene.is_kafka else WINDOW
    assert_kept(ledger, duplicates=bound)
    assert len(letters) == LETTERS
    behind_it = [[number for number in numbers if number > 0] for numbers in by_key.values()]
    assert all(numbers == sorted(numbers) for numbers in behind_it)


async def at_rest(scene: Scene) -> int:
    """Wait until nothing more is handled: how many were."""
    handled, since = scene.handled(), time.monotonic()
    while time.monotonic() - since < 2:
        await asyncio.sleep(0.1)
        if (now := scene.handled()) != handled:
            handled, since = now, time.monotonic()
    return handled


def destination(scene: Scene, request: pytest.FixtureRequest) -> tuple[Change, Change]:
    """How to have the dead letters refused, and how to have them taken again.

    The group's own dead-letter topic, where they would go otherwise, takes none either.
    """
    topics = (f"{scene.topic}.{scene.group}.dead", f"{scene.group}.dead")

    async def allow(size: int) -> None:
        async with kafka_admin(scene.url) as admin:
            limit = {"max.message.bytes": str(size)}
            await admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, topic, configs=limit) for topic in topics]
            )

    async def delete() -> None:
        node: LocalRabbitMQ = request.getfixturevalue("node")
        queues = Queues(node, scene.url)
        for topic in topics:
            await asyncio.to_thread(queues.delete, f"{topic}:{scene.group}.replay")

    async def declare() -> None:
        kept = Topology(topics=topics, group=f"{scene.group}.replay")
        await backend_from(scene.url).prepare(kept)

    if scene.is_kafka:
        return lambda: allow(60), lambda: allow(1_000_000)
    return delete, declare
