"""Acme's backend put through the conformance kit, as its author would run it."""

import pytest

from dispytch.testing.conformance import Conformance


class TestAcme(Conformance):
    """The whole kit: it comes with dispytch-core."""

    patience = 10.0
    quiet = 0.05

    @pytest.fixture
    def url(self) -> str:
        """Acme's broker lives in the process."""
        return "acme://"
