"""What is asked of the driver, and when."""

import asyncio
from types import SimpleNamespace
from typing import Any

from dispytch.kafka.driver import partition_of
from dispytch.kafka.lease import KafkaLease
from dispytch.kafka.leases import Leases
from dispytch.kafka.pump import Pump

FIRST, SECOND = partition_of("t", 0), partition_of("t", 1)


class FakeDriver:
    """Has one record of the first partition, and stops the pump when it is asked again."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.pump: Pump

    async def getmany(self, *partitions: Any, **_: object) -> Any:
        self.asked.append(partitions)
        if len(self.asked) > 1:
            self.pump.stop()
            return {}
        record = SimpleNamespace(offset=0, timestamp=7, key=b"k", value=b"v", headers=())
        return {FIRST: [record]}


async def test_a_partition_is_asked_for_again_once_its_records_are_handed_out() -> None:
    driver, leases, news = FakeDriver(), Leases(100), asyncio.Event()
    leases.assign([FIRST, SECOND])

    def lost(lease: KafkaLease) -> None:
        raise AssertionError(lease)

    driver.pump = Pump(driver, leases, sign_of_life=1, arrived=news.set, lost=lost)  # type: ignore[arg-type]

    async def take() -> None:
        await news.wait()
        assert len(leases.take()) == 1

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(take())
        await driver.pump.run()
    assert [set(asked) for asked in driver.asked] == [{FIRST, SECOND}, {FIRST, SECOND}]
