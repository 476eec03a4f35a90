"""A TCP proxy in front of a broker, so that the way there can be cut or left without an answer."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Literal

Mode = Literal["open", "refusing", "hanging"]


class Proxy:
    """Passes bytes on, as long as it is open; see `proxied`."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._open = asyncio.Event()
        self._open.set()
        self._refusing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    def set(self, mode: Mode) -> None:
        """Have connections work, be reset and refused, or be left without an answer."""
        self._refusing = mode == "refusing"
        if mode == "hanging":
            self._open.clear()
        else:
            self._open.set()
        if self._refusing:
            for writer in list(self._writers):
                writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        if self._refusing:
            writer.transport.abort()
            return
        there, onward = await asyncio.open_connection(*self._target)
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
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


@contextlib.asynccontextmanager
async def proxied(host: str, port: int) -> AsyncGenerator[Proxy]:
    """A proxy on a free port of loopback, open."""
    proxy = Proxy(host, port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.set("refusing")
        server.close()
