"""The in-memory backend keeps the transport contract."""

from uuid import uuid4

import pytest

from dispytch.memory import MemoryBackend
from dispytch.messages import Message
from dispytch.testing.transport import TransportContract


class TestMemoryTransport(TransportContract):
    """Every test of the contract, against a broker that no other test uses."""

    patience = 5.0
    quiet = 0.02

    @pytest.fixture
    def backend(self) -> MemoryBackend:
        """A backend with a broker of its own."""
        return MemoryBackend(uuid4().hex)

    def unsendable(self, topic: str) -> Message | None:
        """A message without a topic."""
        return Message("", b"", b"key")
