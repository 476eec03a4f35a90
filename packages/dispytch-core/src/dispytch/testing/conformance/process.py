"""A service in a process of its own, which a test may kill."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

_SERVICE: Final = "dispytch.testing.conformance.service"
_STARTS_WITHIN: Final = 30.0
_REQUESTER: Final = "dispytch.testing.conformance.requester"


class ServiceProcess:
    """The service of `dispytch.testing.conformance.service`, and what it has said so far.

    began, handled: key and number of the events whose handlers began and ended.
    emitted: key and number of those that it has emitted again, confirmed.
    attempts: key, number and attempt of those that began.
    said: what it has said of itself: ``starting``, ``made``, ``listening``, ``closed``.
    """

    def __init__(self, process: Process) -> None:
        self.began: list[tuple[str, int]] = []
        self.handled: list[tuple[str, int]] = []
        self.emitted: list[tuple[str, int]] = []
        self.attempts: list[tuple[str, int, int]] = []
        self.said: list[str] = []
        self._news = asyncio.Event()
        self._process = process
        self._hearing = asyncio.create_task(self._hear())

    @property
    def ended(self) -> bool:
        """Whether it has ended, by itself or not."""
        return self._process.returncode is not None

    async def says(self, word: str) -> None:
        """Wait until it says something of itself.

        Raises:
            AssertionError: it does not within half a minute, or has ended.
        """
        async with asyncio.timeout(_STARTS_WITHIN):
            while word not in self.said:
                assert not self._hearing.done(), f"it has ended, and said {self.said}"
                self._news.clear()
                await self._news.wait()

    async def kill(self) -> None:
        """SIGKILL: no goodbye, no flush."""
        await self._end(signal.SIGKILL)

    async def terminate(self) -> int:
        """SIGTERM: it drains; returns its exit status."""
        return await self._end(signal.SIGTERM)

    async def interrupt(self) -> int:
        """SIGINT: it drains as well; returns its exit status."""
        return await self._end(signal.SIGINT)

    async def _end(self, sign: signal.Signals) -> int:
        if not self.ended:
            self._process.send_signal(sign)
        status = await self._process.wait()
        await self._hearing
        return status

    async def _hear(self) -> None:
        try:
            await self._read()
        finally:
            self._news.set()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            words = line.decode().split()
            if not line.endswith(b"\n"):
                continue
            if len(words) != 4:
                self.said += words
                self._news.set()
                continue
            what, key, number, attempt = words
            if what == "handled":
                self.handled.append((key, int(number)))
            elif what == "emitted":
                self.emitted.append((key, int(number)))
            else:
                self.began.append((key, int(number)))
                self.attempts.append((key, int(number), int(attempt)))


@asynccontextmanager
async def serving(
    url: str, topic: str, group: str, **options: str | float
) -> AsyncGenerator[ServiceProcess, None]:
    """A service in a process of its own; what still runs at the end is killed.

    ``options`` are those of the service: ``pause``, ``concurrency``, ``window``, ``drain``,
    ``failures``, ``delay``, ``onward``.
    """
    async with _running(_SERVICE, url, topic=topic, group=group, **options) as service:
        yield service


@asynccontextmanager
async def requesting(
    url: str, topic: str, *, key: str, count: int
) -> AsyncGenerator[ServiceProcess, None]:
    """A process that makes so many requests at once; what still runs at the end is killed."""
    async with _running(_REQUESTER, url, topic=topic, key=key, count=count) as requester:
        yield requester


@asynccontextmanager
async def _running(
    module: str, url: str, **options: str | float
) -> AsyncGenerator[ServiceProcess, None]:
    told = [f"--{name}={value}" for name, value in options.items()]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, url, *told, stdout=PIPE
    )
    service = ServiceProcess(process)
    try:
        yield service
    finally:
        await service.kill()
