"""One fault at a time: nothing is lost, order holds, no key is with two members."""

import random
from pathlib import Path

import pytest
from cluster.kafka_cluster import KafkaCluster
from cluster.stage import Reckoning, playing, repeats
from cluster.torments import TORMENTS

pytestmark = pytest.mark.timeout(400)
MEMBERS = 2


@pytest.mark.parametrize("name", TORMENTS)
async def test_a_torment_costs_nothing_but_repeats(
    cluster: KafkaCluster, unique: str, tmp_path: Path, name: str
) -> None:
    async with playing(cluster, unique, tmp_path, members=MEMBERS) as stage:
        await TORMENTS[name](stage, random.Random(7))
        await stage.flow()
    found = stage.reckoning()
    print(f"{name}: {found}")
    assert_kept(found, faults=3)


def assert_kept(found: Reckoning, *, faults: int) -> None:
    assert (found.lost, found.disorder, found.overlaps) == (0, 0, [])
    assert found.duplicates <= repeats(faults, MEMBERS) + found.emitted_again
