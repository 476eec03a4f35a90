"""``hatch run soak --backend kafka --minutes 10``: hostile bytes for a while, and a table."""

import argparse
import asyncio
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brokers.local_kafka import LocalKafka
from brokers.local_rabbitmq import LocalRabbitMQ
from soak.soak import HEAD, soak


def main() -> int:
    """Soak the backends that are asked for, one after the other; 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="hatch run soak", description="hostile bytes")
    parser.add_argument("--backend", action="append", choices=["memory", "kafka", "rabbitmq"])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    faults: list[str] = []
    print(HEAD, flush=True)
    for backend in asked.backend or ["memory", "kafka", "rabbitmq"]:
        with _url(backend) as url, tempfile.TemporaryDirectory(prefix="soak-") as folder:
            unique = uuid.uuid4().hex[:12]
            report = asyncio.run(
                soak(url, unique, Path(folder), seconds=60 * asked.minutes, seed=asked.seed)
            )
        print(report.row, flush=True)
        faults += [f"{backend}: {fault}" for fault in report.faults]
    print(*faults, sep="\n")
    return int(bool(faults))


@contextmanager
def _url(backend: str) -> Iterator[str]:
    """Where the backend is: as the environment says, or a broker of its own."""
    given = os.environ.get(f"{backend.upper()}_URL")
    if backend == "memory":
        yield f"memory://{uuid.uuid4().hex}"
    elif given:
        yield given
    else:
        broker = LocalKafka() if backend == "kafka" else LocalRabbitMQ()
        broker.start()
        try:
            yield broker.url
        finally:
            broker.stop()


if __name__ == "__main__":
    sys.exit(main())
