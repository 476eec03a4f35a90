"""A TCP proxy in front of a broker, so that the way there can be cut or left without an answer."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Literal

Mode = Literal["open", "refusing", "hanging", "delaying"]


class Proxy:
    """Passes bytes on, as long as it is open; see `proxied`."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._open = asyncio.Event()
        self._open.set()
        self._refusing = False
        self._delay = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    def set(self, mode: Mode, delay: float = 0.0) -> None:
        """Have connections work, be reset and refused, left without an answer, or answered late.

        delay: seconds by which each piece is late while it delays.
        """
        self._refusing = mode == "refusing"
        self._delay = delay
        if mode == "hanging":
            self._open.clear()
        else:
            self._open.set()
        if self._refusing:
            self.reset()

    def reset(self) -> None:
        """End every connection without a goodbye; new ones are let in as before."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        if self._refusing:
            writer.transport.abort()
            return
        try:
            there, onward = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, onward}
        try:
            await asyncio.gather(self._pass_on(reader, onward), self._pass_on(there, writer))
        except (OSError, asyncio.CancelledError):
            """One side has ended it, or the test."""
        finally:
            self._writers -= {writer, onward}
            writer.transport.abort()
            onward.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await asyncio.sleep(self._delay)
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


@contextlib.asynccontextmanager
async def proxied(host: str, port: int, *, at: int = 0) -> AsyncGenerator[Proxy]:
    """A proxy on a port of loopback, a free one if not given, open."""
    proxy = Proxy(host, port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", at)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.set("refusing")
        server.close()
