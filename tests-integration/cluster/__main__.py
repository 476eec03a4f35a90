"""``hatch run faults --faults 1000 --seed 1``: a long mixed run on a cluster of its own.

``--only NAME``, again for more, draws from these torments alone.
"""

import argparse
import asyncio
import sys
import tempfile
import uuid
from pathlib import Path

from cluster.kafka_cluster import KafkaCluster
from cluster.mixed import mixed
from cluster.stage import SLOW
from cluster.torments import QUICK, TORMENTS


def main() -> int:
    """Run them and print the reckoning; 1 when something was lost, out of order, or overlapped."""
    parser = argparse.ArgumentParser(prog="hatch run faults", description="random faults")
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slow", action="store_true", help="handlers that take a while")
    parser.add_argument("--only", action="append", choices=sorted(TORMENTS))
    asked = parser.parse_args()
    cluster = KafkaCluster()
    try:
        cluster.start()
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            unique = uuid.uuid4().hex[:12]
            found = asyncio.run(
                mixed(
                    cluster,
                    unique,
                    Path(folder),
                    faults=asked.faults,
                    seed=asked.seed,
                    names=asked.only or QUICK,
                    settings=SLOW if asked.slow else {},
                )
            )
    finally:
        cluster.stop()
    print(f"{asked.faults} faults, seed {asked.seed}: {found}")
    return int(bool(found.lost or found.disorder or found.overlaps))


if __name__ == "__main__":
    sys.exit(main())
