"""Sixty random faults; ``hatch run faults`` is the long run."""

from pathlib import Path

import pytest
from cluster.kafka_cluster import KafkaCluster
from cluster.mixed import MEMBERS, mixed
from cluster.stage import repeats

FAULTS, SEED = 60, 5


@pytest.mark.timeout(1800)
async def test_many_faults_one_after_the_other(
    cluster: KafkaCluster, unique: str, tmp_path: Path
) -> None:
    found = await mixed(cluster, unique, tmp_path, faults=FAULTS, seed=SEED)
    print(found)
    assert (found.lost, found.disorder, found.overlaps) == (0, 0, [])
    assert found.duplicates <= repeats(FAULTS, MEMBERS) + found.emitted_again
