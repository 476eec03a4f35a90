"""Acme's backend against the contract, as its author would run it."""

import pytest

from acme_broker import AcmeBackend
from dispytch.testing.transport import TransportContract


class TestAcme(TransportContract):
    """The tests come with dispytch-core."""

    @pytest.fixture
    def backend(self) -> AcmeBackend:
        """The backend under test."""
        return AcmeBackend()
