"""The service of a soak in this very process: the broker in memory has no other."""

import asyncio
import json
import logging
from pathlib import Path
from types import SimpleNamespace

from faults.service import ServiceSettings, serve


class ServiceHere:
    """As `faults.process.ServiceProcess`, for a task."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._health = Path(settings.health)
        self._log = self._health.with_suffix(".log")
        self._writing = logging.FileHandler(self._log)
        logging.getLogger("dispytch").addHandler(self._writing)
        self._task = asyncio.create_task(serve(settings))

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not self._task.done()

    @property
    def ready(self) -> bool:
        """Whether its listener has joined the group."""
        return self._health.exists()

    @property
    def health(self) -> SimpleNamespace:
        """What it has said of itself within the last moments."""
        return SimpleNamespace(**json.loads(self._health.read_text()))

    @property
    def whole_log(self) -> str:
        """All that it has logged."""
        return self._log.read_text(errors="replace")

    @property
    def resident_mb(self) -> float:
        """The memory of this process, in megabytes."""
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

    async def stopped(self) -> None:
        """End it."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        logging.getLogger("dispytch").removeHandler(self._writing)
        self._writing.close()
