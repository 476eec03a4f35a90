"""The proxies before the nodes of a cluster, in a thread of their own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from brokers.proxy import Mode, Proxy, proxied

T = TypeVar("T")


class Proxies:
    """Proxies that a test that blocks does not hold up; called from any other thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._stack = AsyncExitStack()
        self._all: list[Proxy] = []

    def add(self, port: int, target: int) -> Proxy:
        """One more, at a port, that passes on to another one."""
        opening = self._stack.enter_async_context(proxied("127.0.0.1", target, at=port))
        proxy = self._result(opening)
        self._all.append(proxy)
        return proxy

    def set(self, proxy: Proxy, mode: Mode, delay: float = 0.0) -> None:
        """Have a proxy do this from now on."""
        self._call(lambda: proxy.set(mode, delay))

    def reset(self, proxy: Proxy) -> None:
        """End every connection through a proxy."""
        self._call(proxy.reset)

    def heal(self) -> None:
        """Have all of them pass everything on."""
        for proxy in self._all:
            self.set(proxy, "open")

    def close(self) -> None:
        """End all of them."""
        self._result(self._closed())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _closed(self) -> None:
        await self._stack.aclose()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _call(self, action: Callable[[], None]) -> None:
        async def called() -> None:
            action()

        self._result(called())

    def _result(self, doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(30)
