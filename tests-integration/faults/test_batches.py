"""Services that take events in batches: killed, stopped, and with events that fail among them."""

import asyncio
import random

from faults.scene import Scene, assert_kept, until
from faults.step import Step, rounds

EVENTS, KEYS = 2_000, 50
FAILING = 20
KILLS, STOPS = 3, 3
WINDOW = 256
SIZE, EACH = 25, 0.003
ATTEMPTS = 2


async def test_a_service_killed_in_mid_batch_loses_nothing(scene: Scene) -> None:
    draw = random.Random(5)
    settings = {
        "batch": SIZE,
        "shortest": EACH,
        "longest": EACH,
        "max_in_flight": WINDOW,
        "attempts": ATTEMPTS,
    }
    service = await scene.started(**settings)
    batches = rounds(scene.topic, events=EVENTS, keys=KEYS)
    for number, batch in enumerate(batches[:FAILING]):
        batch.append(Step(topic=scene.topic, key="sick", number=number, conduct="fails"))
    emitting = asyncio.create_task(scene.emit(batches))
    for _ in range(KILLS):
        more = scene.runs() + draw.randrange(100, 300)
        await until(lambda more=more: scene.runs() >= more, "it handles on", within=30)
        service.kill()
        service = await scene.started(**settings)
    await emitting
    await scene.until_handled(EVENTS, within=60)
    await until(lambda: service.health.in_flight == 0, "all is settled", within=20)

    letters = await scene.dead_letters()
    dead = {Step.model_validate_json(letter.value).number for letter in letters}
    assert dead == set(range(FAILING)), "each that failed, and no other"
    assert {letter.key for letter in letters} == {b"sick"}
    assert {letter.attempts for letter in letters} == {ATTEMPTS}
    ledger = scene.ledger(dead={"sick": range(FAILING)})
    print(f"{ledger.duplicates} duplicates, {ledger.interrupted} handlers interrupted")
    bound = KILLS * scene.repeats(window=WINDOW, rate=4 / EACH, longest=SIZE * EACH)
    assert_kept(ledger, duplicates=bound)
    assert ledger.interrupted >= 1, "the kills missed the batches"


async def test_a_service_stopped_in_mid_batch_repeats_nothing(scene: Scene) -> None:
    settings = {
        "batch": 4,
        "by": "key",
        "shortest": 0.01,
        "longest": 0.05,
        "concurrency": 32,
        "max_in_flight": WINDOW,
    }
    service = await scene.started(**settings)
    emitting = asyncio.create_task(scene.emit(rounds(scene.topic, events=EVENTS, keys=KEYS)))
    for _ in range(STOPS):
        await scene.until_in_mid_flow(service, more=400, running=5)
        await service.stopped()
        assert scene.running(service) == 0
        service = await scene.started(**settings)
    await emitting
    await scene.until_handled(EVENTS, within=60)
    ledger = scene.ledger()
    assert_kept(ledger, duplicates=0)
    assert (ledger.interrupted, ledger.cut) == (0, 0)
    assert ledger.overlaps == []
