"""SIGKILL of a service: nothing is lost, order holds, and the repeats are bounded."""

import asyncio
import random

from faults.scene import Scene, assert_kept, until
from faults.step import rounds

EVENTS, KEYS = 5_000, 200
KILLS = 4
WINDOW = 256
CONCURRENCY = 64
SHORTEST, LONGEST, SKEW = 0.03, 1.2, 8.0
"""Most handlers are quick; but at any moment many run that began before the last settlement."""
MEAN = SHORTEST + (LONGEST - SHORTEST) / (SKEW + 1)


async def test_a_service_killed_in_mid_handler_again_and_again(scene: Scene) -> None:
    draw = random.Random(11)
    settings = {
        "shortest": SHORTEST,
        "longest": LONGEST,
        "skew": SKEW,
        "concurrency": CONCURRENCY,
        "max_in_flight": WINDOW,
    }
    service = await scene.started(**settings)
    emitting = asyncio.create_task(scene.emit(rounds(scene.topic, events=EVENTS, keys=KEYS)))
    for _ in range(KILLS):
        more = scene.runs() + draw.randrange(200, 700)
        await until(lambda more=more: scene.runs() >= more, "it handles on", within=30)
        await asyncio.sleep(draw.random() / 2)
        service.kill()
        service = scene.start(**settings)
    await emitting
    await scene.until_handled(EVENTS, within=60)
    ledger = scene.ledger()
    print(f"{ledger.duplicates} duplicates, {ledger.interrupted} handlers interrupted")
    bound = KILLS * scene.repeats(window=WINDOW, rate=CONCURRENCY / MEAN, longest=LONGEST)
    assert_kept(ledger, duplicates=bound)
    assert ledger.interrupted >= KILLS, "the kills missed the handlers"
    assert ledger.overlaps == []
