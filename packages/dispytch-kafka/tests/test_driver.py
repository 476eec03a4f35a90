"""What the driver is made to do."""

import asyncio
import sys

from aiokafka.consumer import group_coordinator  # type: ignore[import-untyped,unused-ignore]

from dispytch.kafka.driver import lazy_task


async def test_the_driver_makes_tasks_that_begin_later() -> None:
    asyncio.get_running_loop().set_task_factory(vars(asyncio).get("eager_task_factory"))
    began: list[None] = []

    async def begin() -> None:
        began.append(None)

    task = group_coordinator.create_task(begin())
    assert not began
    await task
    assert began


def test_whoever_uses_the_drivers_tasks_gets_ours() -> None:
    for name in ("client", "conn", "consumer.fetcher", "producer.sender", "producer.producer"):
        module = sys.modules[f"aiokafka.{name}"]
        assert module.create_task is lazy_task, name
