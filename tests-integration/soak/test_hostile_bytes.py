"""A short soak on each backend; ``hatch run soak`` is the long one."""

from pathlib import Path

import pytest
from soak.soak import soak

SECONDS = 8.0


@pytest.mark.timeout(300)
async def test_hostile_bytes_harm_nothing_but_themselves(
    broker_url: str, unique: str, tmp_path: Path
) -> None:
    report = await soak(broker_url, unique, tmp_path, seconds=SECONDS, seed=3)
    print(report.row)
    assert report.faults == []
