"""The pytest plugin of dispytch: fixtures for the tests of services.

pytest loads it wherever dispytch-core is installed. It lies outside of the package, so that a run
that uses none of its fixtures imports nothing of dispytch. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dispytch import EventListener
    from dispytch.memory import MemoryBackend
    from dispytch.testing import Probe, StartProbe


@pytest.fixture
def dispytch_probe(request: pytest.FixtureRequest) -> StartProbe:
    """Starts probes that last until the test ends: ``probe = await dispytch_probe(listener)``.

    Takes what `EventListener.test` takes, and may be called for several listeners. At the end of
    the test they are left in reverse order, as at the end of an ``async with``.
    """
    # An async fixture belongs to the plug-in that runs the test.
    runner = "anyio" if "anyio_backend" in request.fixturenames else "asyncio"
    try:
        start: StartProbe = request.getfixturevalue(f"_dispytch_probe_{runner}")
    except pytest.FixtureLookupError:
        pytest.fail(
            "dispytch_probe needs a plug-in that runs async tests: install pytest-asyncio, or "
            "anyio and mark the test with pytest.mark.anyio",
            pytrace=False,
        )
    return start


@pytest.fixture
def memory_backend() -> MemoryBackend:
    """A backend with an in-memory broker of its own, which no other test knows."""
    from dispytch.memory import MemoryBackend, MemoryBroker

    return MemoryBackend("memory_backend", broker=MemoryBroker())


def pytest_configure(config: pytest.Config) -> None:
    """Have pytest-asyncio run the fixture where it is loaded, in its strict mode too."""
    if config.pluginmanager.hasplugin("asyncio"):
        import pytest_asyncio

        fixtures = ModuleType("pytest_dispytch_asyncio")
        name = "_dispytch_probe_asyncio"
        setattr(fixtures, name, pytest_asyncio.fixture(_probes(), name=name))
        config.pluginmanager.register(fixtures, fixtures.__name__)


def _probes() -> Callable[[], AsyncGenerator[StartProbe, None]]:
    # A function of its own for each: pytest-asyncio marks those that it is to run.
    async def probes() -> AsyncGenerator[StartProbe, None]:
        async with AsyncExitStack() as stack:

            async def start(listener: EventListener, **options: Any) -> Probe:
                return await stack.enter_async_context(listener.test(**options))

            yield start

    return probes


_dispytch_probe_anyio = pytest.fixture(_probes(), name="_dispytch_probe_anyio")
