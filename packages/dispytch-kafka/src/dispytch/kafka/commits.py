"""Telling the broker how far each partition is done."""

import asyncio
import logging
from collections.abc import Callable, Collection
from time import monotonic
from typing import Final

from dispytch.exceptions import reason_of
from dispytch.kafka.driver import place_of
from dispytch.kafka.driver_types import ConsumerClient
from dispytch.kafka.failures import has_lost_membership, is_hopeless
from dispytch.kafka.lease import KafkaLease
from dispytch.kafka.leases import Leases

logger: logging.Logger = logging.getLogger("dispytch.kafka")

INTERVAL: Final = 0.5
TIMEOUT: Final = 5.0
_PAUSE: Final = 0.2
_GRACE: Final = 3.0
"""Seconds in which commits may fail before that is a problem."""


class Commits:
    """Commits, per lease, the prefix of what was handed out that is settled to the last one.

    When all is settled and nothing waits, that is the end of the partition, beyond the markers of
    transactions that may stand there: so the lag that the broker's tools show becomes zero.

    One commit is under way at a time: the driver would send a late one with the membership of
    that moment, and so undo what the partition's next holder has committed.

    ``forfeit`` takes leases that turn out to be others' by now.
    """

    def __init__(
        self,
        client: ConsumerClient,
        leases: Leases,
        forfeit: Callable[[Collection[KafkaLease]], None],
    ) -> None:
        self._client = client
        self._leases = leases
        self._forfeit = forfeit
        self._turn = asyncio.Lock()
        self._failing: float | None = None
        self._reason = ""

    async def keep_up(self) -> None:
        """Commit whatever has changed, twice a second, until cancelled.

        Raises:
            KafkaError: this group or these topics may not be committed to.
        """
        while True:
            await asyncio.sleep(INTERVAL)
            await self.commit()

    async def flush(self, within: float) -> None:
        """Return once all that is settled is committed, or its lease ended.

        The broker takes its partitions from a member that it has not heard of for the session's
        timeout, ``within`` seconds; when nothing could be committed for so long, the leases end.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while not await self.commit():
            if loop.time() >= deadline:
                self._forfeit([lease for lease in self._leases if self._due(lease) is not None])
                return
            await asyncio.sleep(_PAUSE)

    @property
    def problem(self) -> str | None:
        """A sentence for commits that have failed for a while."""
        lasting = 0.0 if self._failing is None else monotonic() - self._failing
        if lasting < _GRACE:
            return None
        return f"nothing could be committed for {lasting:.0f} s: {self._reason}"

    async def commit(self) -> bool:
        """Try once; whether nothing is left to commit.

        Raises:
            KafkaError: this group or these topics may not be committed to.
        """
        async with self._turn:
            places = {lease: self._due(lease) for lease in self._leases}
            due = {lease: place for lease, place in places.items() if place is not None}
            if not due:
                self._failing = None
                return True
            begun = monotonic()
            try:
                async with asyncio.timeout(TIMEOUT):
                    await self._client.commit(
                        {lease.partition: place for lease, place in due.items()}
                    )
            except Exception as error:
                if is_hopeless(error):
                    raise
                self._failing = begun if self._failing is None else self._failing
                self._reason = reason_of(error)
                self._failed(list(due), error)
                return False
            self._failing = None
            for lease, place in due.items():
                lease.committed = place
            return True

    def _failed(self, leases: Collection[KafkaLease], error: Exception) -> None:
        streams = ", ".join(lease.stream for lease in leases)
        if has_lost_membership(error):
            logger.warning(
                "the group has given %s to others; what was not committed comes again", streams
            )
            self._forfeit(leases)
        else:
            logger.warning("a commit on %s failed and is tried again: %r", streams, error)

    def _due(self, lease: KafkaLease) -> int | None:
        """What is to be committed of a lease, or None if the broker has it already."""
        place, committed = lease.offsets.position, lease.committed or 0
        if place is None:
            return None
        reached = place_of(self._client, lease.partition) or 0 if lease.is_done else 0
        place = max(place, reached, committed)
        return None if place == lease.committed else place
