"""Poison, a key that always fails and a handler that is stuck, among good traffic."""

import asyncio
import time

import pytest
from brokers.local_rabbitmq import LocalRabbitMQ
from faults.broker_views import Queues, kafka_places
from faults.scene import Scene, assert_kept, until
from faults.step import Step, rounds

from dispytch.backends import backend_from
from dispytch.messages import Message

EVENTS, KEYS = 5_000, 200
FAILING = 20
ATTEMPTS = 2
QUIET = 4.0
SETTINGS = {
    "shortest": 0.02,
    "longest": 0.04,
    "concurrency": 32,
    "max_in_flight": 256,
    "attempts": ATTEMPTS,
    "stuck_after": 3.0,
    "drain_timeout": 1.5,
}
POISON = b"\xff\xfe not JSON"


async def test_one_bad_event_harms_only_itself(
    scene: Scene, request: pytest.FixtureRequest
) -> None:
    service = await scene.started(**SETTINGS)
    await scene.emit([[Step(topic=scene.topic, key="stuck", number=0, conduct="stuck")]])
    await emit_poison(scene)
    batches = rounds(scene.topic, events=EVENTS, keys=KEYS)
    for number, batch in enumerate(batches[:FAILING]):
        batch.append(Step(topic=scene.topic, key="sick", number=number, conduct="fails"))
    began = time.monotonic()
    await scene.emit(batches)
    await scene.until_handled(EVENTS, within=30)
    print(f"the good ones took {time.monotonic() - began:.1f} s")
    sick = {"sick": range(FAILING), "stuck": [0]}
    assert_kept(scene.ledger(dead=sick), duplicates=0)

    memory = service.resident_mb
    await until(lambda: service.health.in_flight == 1, "only the stuck one is left", within=20)
    await until(lambda: not service.health.healthy, "health says that it is stuck", within=20)
    assert "unsettled" in service.health.problems[0]
    assert set(service.health.lag.values()) == {0}
    await assert_settled_as_far_as_may_be(scene, request)
    cpu = service.cpu_seconds
    await asyncio.sleep(QUIET)
    spent = service.cpu_seconds - cpu
    print(f"{spent:.2f} s of processor time in {QUIET} quiet seconds")
    assert spent < 0.1 * QUIET, "it spins"
    assert service.resident_mb - memory < 16

    letters = await scene.dead_letters()
    failed = [letter for letter in letters if letter.reason == "failed"]
    assert sorted(letter.reason for letter in letters) == ["failed"] * FAILING + ["undecodable"]
    assert POISON in [letter.value for letter in letters]
    assert {letter.key for letter in failed} == {b"sick"}
    assert [Step.model_validate_json(one.value).number for one in failed] == [*range(FAILING)]
    assert {letter.attempts for letter in failed} == {ATTEMPTS}

    await service.stopped()
    await scene.started(**SETTINGS, heals=True)
    await scene.until_handled(EVENTS + 1, within=30)
    ledger = scene.ledger(dead={"sick": range(FAILING)})
    print(f"{ledger.duplicates} duplicates after the stuck one was left to another service")
    # On Kafka the whole partition behind the stuck event may come again.
    assert_kept(ledger, duplicates=EVENTS // 2 if scene.is_kafka else 0)


async def emit_poison(scene: Scene) -> None:
    """An event of the handler's type that says that it is JSON and is not."""
    backend = backend_from(scene.url)
    attributes = {"specversion": "1.0", "id": "poison", "source": "tests", "type": "step"}
    prefix = backend.features.attribute_prefixes[0]
    headers = [(prefix + name, value.encode()) for name, value in attributes.items()]
    headers.append(("content-type", b"application/json"))
    async with backend.producer() as producer:
        await producer.send([Message(scene.topic, POISON, b"poison", headers)])


async def assert_settled_as_far_as_may_be(scene: Scene, request: pytest.FixtureRequest) -> None:
    """All but the stuck event; on Kafka, its partition is committed up to it."""
    (stuck,) = [run for run in scene.entries() if run.key == "stuck"]
    if not scene.is_kafka:
        node: LocalRabbitMQ = request.getfixturevalue("node")
        queues, name = Queues(node, scene.url), f"{scene.topic}:{scene.group}"
        await until(lambda: queues.counts(name) == (0, 1), "all but one are acked", within=5)
        return
    partition = int(stuck.stream.partition("[")[2].rstrip("]"))
    deadline = time.monotonic() + 5
    while True:
        places = await kafka_places(scene.url, scene.topic, scene.group)
        assert places.pop(partition)[0] <= stuck.position
        if all(committed == end for committed, end in places.values()):
            return
        assert time.monotonic() < deadline, f"not committed: {places}"
