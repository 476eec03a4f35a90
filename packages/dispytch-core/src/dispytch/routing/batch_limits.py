"""Whether a listener can serve handlers that take batches."""

from collections.abc import Sequence
from dataclasses import dataclass

from dispytch.batch import Batch
from dispytch.exceptions import InvalidHandler
from dispytch.routing.planned import PlannedRoute
from dispytch.topics import overlap, segments_of


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """What a listener, and its broker, leave to batch handlers.

    window: how many events may be received and unsettled.
    whole_streams: the order of whole partitions or queues is kept.
    stuck_after: seconds after which an unsettled event counts as stuck.
    hold_limit: seconds after which the broker takes an unsettled event back; None: never.
    """

    window: int
    whole_streams: bool
    stuck_after: float
    hold_limit: float | None

    def check(self, planned: Sequence[PlannedRoute]) -> None:
        """Check every batch handler.

        Raises:
            InvalidHandler: one shares a topic with another handler, or its batches could never be
                full, would have to wait for longer than may be, or would break the order.
        """
        # Those of the handlers, and the one through which events come back to the group.
        topics = len({route.topic for route in planned}) + 1
        for route in planned:
            batch = route.registration.batch
            if batch is not None:
                _check_alone(route, planned)
                self._check_size(route.name, batch, topics)
                self._check_wait(route.name, batch)
                self._check_order(route.name, batch)

    def _check_size(self, name: str, batch: Batch, topics: int) -> None:
        share = self.window // topics
        if batch.size > share:
            raise InvalidHandler(
                f"handler {name} takes batches of {batch.size}, and no more than {share} events of "
                f"its topic may be in flight: {topics} topics, the group's own for retries among "
                f"them, have even shares of max_in_flight={self.window}; set it to "
                f"{batch.size * topics} or more, or make the batches smaller"
            )

    def _check_wait(self, name: str, batch: Batch) -> None:
        if batch.wait >= self.stuck_after:
            raise InvalidHandler(
                f"handler {name} lets events wait for {batch.wait:g} s, and health turns red after "
                f"stuck_after={self.stuck_after:g}; make wait shorter, or stuck_after longer"
            )
        if self.hold_limit is not None and batch.wait > self.hold_limit / 2:
            raise InvalidHandler(
                f"handler {name} lets events wait for {batch.wait:g} s, and the broker takes them "
                f"back after {self.hold_limit:g} s; wait for half of that at most, so that the "
                "other half is left to handle them"
            )

    def _check_order(self, name: str, batch: Batch) -> None:
        if self.whole_streams and batch.by == "key":
            raise InvalidHandler(
                f"handler {name} takes batches by key, and ordering='partition' keeps the order of "
                "all keys together; take them by='topic', or use ordering='key'"
            )


def _check_alone(route: PlannedRoute, planned: Sequence[PlannedRoute]) -> None:
    for other in planned:
        if other is not route and overlap(_shape(route), _shape(other)):
            raise InvalidHandler(
                f"handler {route.name} takes batches of {route.topic!r}, and handler {other.name} "
                f"takes events of {other.topic!r}, some of the same; a batch handler has its "
                "topics for itself: let it take every type, or give one of them a listener with "
                "another group"
            )


def _shape(route: PlannedRoute) -> Sequence[str]:
    return segments_of(route.topic) if route.pattern is None else route.pattern.shape
