"""What is asked of the driver, and when."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher  # type: ignore[import-untyped,unused-ignore]

from dispytch.kafka.driver import partition_of
from dispytch.kafka.lease import KafkaLease
from dispytch.kafka.leases import Leases
from dispytch.kafka.pump import CHUNK, Pump

FIRST, SECOND = partition_of("t", 0), partition_of("t", 1)


class FakeDriver:
    """Has some records of the first partition, and stops the pump when there are no more."""

    def __init__(self, records: int) -> None:
        self.asked: list[set[Any]] = []
        self.hurried: list[bool] = []
        self.pump: Pump
        self._records = [
            SimpleNamespace(offset=offset, timestamp=7, key=b"k", value=b"v", headers=())
            for offset in range(records)
        ]

    async def getmany(self, *partitions: Any, max_records: int, **_: object) -> Any:
        self.asked.append(set(partitions))
        if FIRST not in partitions:
            return {}
        if not self._records:
            self.pump.stop()
            return {}
        given, self._records = self._records[:max_records], self._records[max_records:]
        return {FIRST: given}

    def hurry(self, hurried: bool) -> None:
        self.hurried.append(hurried)


async def pumped(driver: FakeDriver) -> None:
    """Run the pump until the driver stops it, and take whatever arrives."""
    leases, news = Leases(10 * CHUNK), asyncio.Event()
    leases.assign([FIRST, SECOND])

    def lost(lease: KafkaLease) -> None:
        raise AssertionError(lease)

    driver.pump = Pump(driver, leases, sign_of_life=1, arrived=news.set, lost=lost)  # type: ignore[arg-type]

    async def take() -> None:
        while True:
            await news.wait()
            news.clear()
            assert leases.take()

    async with asyncio.timeout(5):
        taking = asyncio.create_task(take())
        await driver.pump.run()
    taking.cancel()


async def test_a_partition_is_asked_for_again_once_its_records_are_handed_out() -> None:
    driver = FakeDriver(1)
    await pumped(driver)
    assert driver.asked == [{FIRST, SECOND}, {FIRST, SECOND}]


async def test_what_the_driver_holds_hurries_its_fetches_for_the_others() -> None:
    driver = FakeDriver(CHUNK + 1)
    await pumped(driver)
    assert driver.hurried == [True, False], "until nothing comes any more"


@pytest.mark.parametrize("name", ["_fetch_max_wait_ms", "_fetcher_timeout"])
def test_the_driver_asks_by_what_is_set(name: str) -> None:
    assert name in Fetcher._get_actions_per_node.__code__.co_names
