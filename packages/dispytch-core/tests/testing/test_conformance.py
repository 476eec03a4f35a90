"""The in-memory backend keeps dispytch's promises."""

from uuid import uuid4

import pytest

from dispytch.messages import Message
from dispytch.testing.conformance import Conformance


class TestMemory(Conformance):
    """The whole kit, each test against a broker that no other test uses."""

    patience = 5.0
    quiet = 0.02

    @pytest.fixture
    def url(self) -> str:
        """A broker of the test's own."""
        return f"memory://{uuid4().hex}"

    def unsendable(self, topic: str) -> Message | None:
        """A message without a topic."""
        return Message("", b"", b"key")
