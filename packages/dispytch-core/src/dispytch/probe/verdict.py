"""Whether a test has looked at what failed."""

from typing import Final

from dispytch.exceptions import UnseenFailure
from dispytch.probe.recorder import Recorder
from dispytch.probe.records import GivenUp

_SHOWN: Final = 5


class Verdict:
    """Knows which of the events that were given up the test has not looked at."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._seen = 0

    def look(self) -> None:
        """All that was given up so far has been looked at."""
        self._seen = len(self._recorder.history.given_up)

    def explain(self, error: BaseException) -> None:
        """Add what went wrong to the error that a test fails of."""
        history = self._recorder.history
        for record in history.given_up[:_SHOWN]:
            error.add_note(f"given up meanwhile: {record!r}")
        for passed_over in history.unhandled[:_SHOWN]:
            error.add_note(f"no handler took: {passed_over!r}")

    def check(self) -> None:
        """Raise if something was given up that the test has not looked at.

        Raises:
            UnseenFailure: from the error of the first of them.
        """
        __tracebackhide__ = True
        unseen = self._unseen()
        if unseen:
            lines = "".join(f"\n- {record!r}" for record in unseen[:_SHOWN])
            more = f"\n- and {len(unseen) - _SHOWN} more" if len(unseen) > _SHOWN else ""
            raise UnseenFailure(
                f"{len(unseen)} given up, and the test did not look; if it is meant, assert it of "
                f"probe.dead_lettered, probe.dropped or probe.failed:{lines}{more}"
            ) from unseen[0].error

    def _unseen(self) -> list[GivenUp]:
        caused = self._recorder.faults.caused
        return [
            record
            for record in self._recorder.history.given_up[self._seen :]
            if not caused(record.error)
        ]
