"""A service process under the tests' hand: started, killed, stopped and looked at by its pid."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Final

from faults.service import ServiceSettings

_FOLDER: Final = Path(__file__).parent.parent
_PATIENCE: Final = 30.0


class ServiceProcess:
    """One process of ``faults.service``. What it logs goes to a file beside its health."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self._health = Path(settings.health)
        self._log = self._health.with_suffix(".log")
        paths = (str(_FOLDER), os.environ.get("PYTHONPATH"))
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "faults.service", json.dumps(asdict(settings))],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def ready(self) -> bool:
        """Whether its listener has joined the group.

        Raises:
            AssertionError: it has ended instead.
        """
        assert self.running, f"the service ended with {self._process.returncode}:\n{self.log}"
        return self._health.exists()

    @property
    def health(self) -> SimpleNamespace:
        """What `EventListener.health` said within the last moments."""
        return SimpleNamespace(**json.loads(self._health.read_text()))

    @property
    def log(self) -> str:
        """The end of what it has logged."""
        return self._log.read_text(errors="replace")[-6000:]

    @property
    def whole_log(self) -> str:
        """All that it has logged."""
        return self._log.read_text(errors="replace")

    @property
    def cpu_seconds(self) -> float:
        """The processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_mb(self) -> float:
        """The memory that it holds, in megabytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def kill(self) -> None:
        """SIGKILL it; without effect when it has ended."""
        if self.running:
            self._process.kill()
        self._process.wait(_PATIENCE)

    def terminate(self) -> None:
        """SIGTERM it, and return at once."""
        self._process.send_signal(signal.SIGTERM)

    async def stopped(self, within: float = 20.0) -> float:
        """SIGTERM it and wait: after how many seconds it ended, with status 0.

        Raises:
            AssertionError: it did not end in time, or with another status.
        """
        self.terminate()
        status, seconds = await asyncio.to_thread(self.wait, within)
        assert status == 0, f"ended with {status}:\n{self.log}"
        return seconds

    def wait(self, within: float) -> tuple[int, float]:
        """Its exit status, and after how many seconds it ended.

        Raises:
            AssertionError: it did not end in time.
        """
        began = time.monotonic()
        try:
            status = self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it still runs after {within} s:\n{self.log}") from None
        return status, time.monotonic() - began
