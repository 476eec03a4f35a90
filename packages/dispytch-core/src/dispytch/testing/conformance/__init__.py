"""The conformance kit: does dispytch keep its promises on this backend?

Where `dispytch.testing.transport` tests what a backend says to core, sentence by sentence, these
tests run whole services on it, and end them in every way there is. Subclass `Conformance` in a
backend's own tests, and say where the broker is::

    class TestMyBackend(Conformance):
        @pytest.fixture
        def url(self) -> str:
            return "mine://localhost:1234"

The URL must be one that ``EventListener(url)`` understands, in other processes too, so the backend
must be registered through its entry point. Everything else has a default; see `Setting`. A fixture
``restart_broker`` lets the tests restart the broker; without it they don't. What the backend's
`Features` do not declare is skipped, and says so. It needs pytest and pytest-asyncio.

Every test counts how often each event was handled: exactly once, unless something crashed; then
the repetitions have a budget, which `Setting.duplicates` states.
"""

from dispytch.testing.conformance.bounding import Bounded
from dispytch.testing.conformance.dead_lettering import DeadLettering
from dispytch.testing.conformance.delaying import Delays
from dispytch.testing.conformance.ending import CleanEnd
from dispytch.testing.conformance.failing import OneBadEvent
from dispytch.testing.conformance.losing import NothingIsLost
from dispytch.testing.conformance.ordering import OrderPerKey
from dispytch.testing.conformance.patterns import TopicPatterns
from dispytch.testing.conformance.requesting import RequestsAreAnswered
from dispytch.testing.conformance.setting import RestartBroker, Setting
from dispytch.testing.conformance.signing import Signed
from dispytch.testing.conformance.visible import Visible
from dispytch.testing.conformance.wire import OpenWire
from dispytch.testing.transport import TransportContract

__all__ = [
    "Bounded",
    "CleanEnd",
    "Conformance",
    "DeadLettering",
    "Delays",
    "NothingIsLost",
    "OneBadEvent",
    "OneBehaviour",
    "OpenWire",
    "OrderPerKey",
    "RequestsAreAnswered",
    "RestartBroker",
    "Setting",
    "Signed",
    "TopicPatterns",
    "Visible",
]


class OneBehaviour(TransportContract, Setting):
    """The same program behaves the same on every backend: the transport contract is kept."""


class Conformance(
    OneBehaviour,
    NothingIsLost,
    OrderPerKey,
    Bounded,
    OneBadEvent,
    CleanEnd,
    OpenWire,
    Visible,
    Delays,
    DeadLettering,
    Signed,
    RequestsAreAnswered,
    TopicPatterns,
):
    """Every promise that a backend can break; give it a fixture named ``url``."""
