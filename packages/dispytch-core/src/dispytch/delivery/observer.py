"""Who watches what becomes of events."""

from typing import Protocol

from dispytch.dead_letters import Failure, FailurePolicy
from dispytch.delivery.attempt import Attempt
from dispytch.messages import Delivery


class Observer(Protocol):
    """Is told of failures as they happen; must neither raise nor wait."""

    def failed(
        self, delivery: Delivery, attempt: Attempt, error: Exception, wait: float | None
    ) -> None:
        """An attempt has failed; another one follows after ``wait`` seconds, or none if None."""
        ...

    def given_up(self, delivery: Delivery, failure: Failure, policy: FailurePolicy) -> None:
        """No attempt follows: what ``policy`` says is done next."""
        ...
