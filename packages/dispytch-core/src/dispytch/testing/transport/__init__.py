"""The transport contract as tests: what `dispytch.transport` promises, sentence by sentence.

Subclass it in the tests of a backend, and say how to reach the broker::

    class TestMyBackend(TransportContract):
        @pytest.fixture
        def backend(self) -> MyBackend:
            return MyBackend("localhost:1234")

It needs pytest and pytest-asyncio, and looks at the backend's `Features`, never at its name. Every
test uses topics and groups of its own, so that a broker can be shared. With ``shared_order``, the
topics that `prepare` makes must have several streams: two members cannot share one. What else a
subclass may say about its broker stands in `Scene`. For failures that show the compared values, put
``pytest.register_assert_rewrite("dispytch.testing.transport")`` into ``conftest.py``.
"""

from dispytch.testing.transport.bounded import BoundedContract
from dispytch.testing.transport.delaying import DelayContract
from dispytch.testing.transport.groups import GroupContract
from dispytch.testing.transport.holding import HoldingContract
from dispytch.testing.transport.patterns import PatternContract
from dispytch.testing.transport.receiving import ReceivingContract
from dispytch.testing.transport.repeating import RepeatingContract
from dispytch.testing.transport.scene import Scene
from dispytch.testing.transport.sending import SendingContract
from dispytch.testing.transport.settling import SettlingContract
from dispytch.testing.transport.temporary import TemporaryContract

__all__ = ["Scene", "TransportContract"]


class TransportContract(
    SendingContract,
    RepeatingContract,
    DelayContract,
    ReceivingContract,
    SettlingContract,
    HoldingContract,
    GroupContract,
    TemporaryContract,
    BoundedContract,
    PatternContract,
):
    """Every test of the transport contract; give it a fixture named ``backend``."""
