"""``hatch run faults --faults 1000 --seed 1``: a long mixed run on a cluster of its own."""

import argparse
import asyncio
import sys
import tempfile
import uuid
from pathlib import Path

from cluster.kafka_cluster import KafkaCluster
from cluster.mixed import mixed


def main() -> int:
    """Run them and print the reckoning; 1 when something was lost, out of order, or overlapped."""
    parser = argparse.ArgumentParser(prog="hatch run faults", description="random faults")
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    cluster = KafkaCluster()
    try:
        cluster.start()
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            unique = uuid.uuid4().hex[:12]
            running = mixed(cluster, unique, Path(folder), faults=asked.faults, seed=asked.seed)
            found = asyncio.run(running)
    finally:
        cluster.stop()
    print(f"{asked.faults} faults, seed {asked.seed}: {found}")
    return int(bool(found.lost or found.disorder or found.overlaps))


if __name__ == "__main__":
    sys.exit(main())
