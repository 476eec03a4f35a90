"""The surroundings in which a page runs."""

import pytest

from dispytch import EventListener, backends
from dispytch.memory.broker import MemoryBroker

from .stand_ins import StandIn, ending


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every backend's name means a fresh in-memory one, and listening comes to an end."""
    monkeypatch.setattr(MemoryBroker, "_named", {})
    monkeypatch.setattr(backends, "_registered", {})
    for name in set(backends.installed()) - {"memory"}:
        backends.register(name, StandIn)
    monkeypatch.setattr(EventListener, "listen", ending(EventListener.listen))
