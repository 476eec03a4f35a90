# pyright: basic
# What is touched of the library beyond its documented API is touched here; a test fails when that
# is no longer there.
"""The HTTP client of a registry: one, with bounds on what it takes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

_HEADERS: Final = {"Accept-Encoding": "identity"}
"""An answer comes as it is: what is compressed may be a thousand times as large."""


class AnswerTooLarge(Exception):
    """A registry's answer is longer than what is read of it."""


class Connection:
    """The client, opened when it is first needed; `close` lets go of it until it is needed again.

    It belongs to the event loop that it was opened in; another loop has another one.

    library: the module `confluent_kafka.schema_registry`.
    timeout: how many seconds a request may take in all, from the first byte to the last.
    answer_max: how many bytes of an answer are read.
    """

    def __init__(
        self, library: Any, settings: Mapping[str, Any], timeout: float, answer_max: int
    ) -> None:
        self._library = library
        self._settings = dict(settings)
        self._timeout = timeout
        self._answer_max = answer_max
        self._open: _Open | None = None

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        """The client; it is not closed as long as somebody uses it."""
        current = self._current()
        current.users += 1
        try:
            yield current.client
        finally:
            current.users -= 1
            await current.close_if_done()

    async def close(self) -> None:
        """Close the client once the questions under way are answered."""
        current, self._open = self._open, None
        if current is not None and current.loop is asyncio.get_running_loop():
            current.closing = True
            await current.close_if_done()

    def made(self) -> Any:
        """A client. Raises whatever the library does at settings that make no sense."""
        client: Any = self._library.AsyncSchemaRegistryClient(self._settings)
        rest = client._rest_client
        rest.session = _Bounded(rest.session, self._timeout, self._answer_max)
        return client

    def _current(self) -> "_Open":
        loop = asyncio.get_running_loop()
        if self._open is None or self._open.loop is not loop:
            self._open = _Open(self.made(), loop)
        return self._open


@dataclass(eq=False, slots=True)
class _Open:
    client: Any
    loop: asyncio.AbstractEventLoop
    users: int = 0
    closing: bool = False

    async def close_if_done(self) -> None:
        if self.closing and not self.users:
            self.closing = False
            await self.client.aclose()


class _Bounded:
    """An HTTP session of the library, which waits and reads no more than so much."""

    def __init__(self, session: Any, timeout: float, answer_max: int) -> None:
        self._session = session
        self._timeout = timeout
        self._answer_max = answer_max

    async def request(self, method: str, **given: Any) -> Any:
        given["headers"] = {**(given.get("headers") or {}), **_HEADERS}
        async with (
            asyncio.timeout(self._timeout),
            self._session.stream(method, **given) as response,
        ):
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self._answer_max:
                    raise AnswerTooLarge(f"an answer of more than {self._answer_max} bytes")
            return type(response)(
                response.status_code,
                headers=_plain(response.headers),
                content=bytes(body),
                request=response.request,
            )

    async def aclose(self) -> None:
        await self._session.aclose()


def _plain(headers: Any) -> list[tuple[str, str]]:
    """Without what says that the body is compressed: it is read as it came."""
    dropped = ("content-encoding", "content-length", "transfer-encoding")
    return [(name, value) for name, value in headers.items() if name.lower() not in dropped]
