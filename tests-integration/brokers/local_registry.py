"""A private Apicurio Registry, which has the API of Confluent's, run on the system's Java."""

import atexit
import contextlib
import os
import shutil
import signal
import socket
import tempfile
import time
import urllib.request
from pathlib import Path

from brokers.broker import BrokerUnavailable
from brokers.child import Child
from brokers.registry_program import REGISTRY_VERSION, registry_program

START_TIMEOUT = 90.0
STOP_TIMEOUT = 15.0
JAVA_OPTIONS = ("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class LocalRegistry:
    """One registry of our own, on a free port; it keeps its schemas in memory.

    `kill` freezes it: it answers nothing, as if the way to it were cut. `start` wakes it again.
    """

    version = f"Apicurio Registry {REGISTRY_VERSION}"

    def __init__(self) -> None:
        found = shutil.which("java")
        if found is None:
            raise BrokerUnavailable("no `java` on the path: install Java 17 or newer")
        self._java = found
        self._program = registry_program()
        self._folder = Path(tempfile.mkdtemp(prefix="registry-"))
        self._port = _free_port()
        self._server: Child | None = None
        atexit.register(self.stop)

    @property
    def url(self) -> str:
        """Where it has the API of Confluent's."""
        return f"http://127.0.0.1:{self._port}/apis/ccompat/v7"

    @property
    def provenance(self) -> str:
        """Where its program is."""
        return f"local process, {self._program.parent}"

    def start(self) -> None:
        """Start it, or wake it, and wait until it answers."""
        if self._server is None:
            self._server = self._spawned()
        os.killpg(self._server.pid, signal.SIGCONT)
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "output.log").read_text(errors="replace")[-2000:]
                raise BrokerUnavailable(f"Apicurio Registry did not start:\n{said}")
            time.sleep(0.1)

    def kill(self) -> None:
        """Freeze it."""
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGSTOP)

    def sweep(self) -> None:
        """Its schemas cost nothing where they are."""

    def stop(self) -> None:
        """End it."""
        if self._server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait(STOP_TIMEOUT)
            self._server = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _spawned(self) -> Child:
        address = ("-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={self._port}")
        command = [self._java, *JAVA_OPTIONS, *address, "-jar", str(self._program)]
        return Child(command, self._folder / "output.log", cwd=self._folder)

    def _answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{self.url}/subjects", timeout=2) as answer,
        ):
            return bool(answer.status == 200)
        return False


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
