"""Which events of a batch have failed, and of what."""

from collections.abc import Mapping

from dispytch.exceptions import BatchFailed, DispytchError


def failures_among(count: int, error: Exception) -> Mapping[int, Exception]:
    """What each event of a batch of ``count`` has failed of, by index, after a run that raised.

    `BatchFailed` says it of some; any other error is that of all. Indexes beyond the batch fail all
    of it, as nobody knows which events are meant.
    """
    if not isinstance(error, BatchFailed):
        return dict.fromkeys(range(count), error)
    last = max(error.failures)
    if last < count:
        return error.failures
    unknown = DispytchError(
        f"BatchFailed names event #{last} of a batch of {count}: indexes count from 0, in the list "
        "that the handler or middleware was given"
    )
    unknown.__cause__ = error
    return dict.fromkeys(range(count), unknown)
