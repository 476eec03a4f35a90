"""What it means for an event that its reading has failed, whatever that has raised."""

from dispytch.exceptions import DecodeError, SerializationError
from dispytch.failing import failure_of, kind_and_place


def refusal_of(error: BaseException, what: str) -> SerializationError:
    """The error of an event that was being read when this was raised; to be called where it is.

    A `SerializationError` is one already. Of any other, only the kind is told and the line that has
    raised it, as its text may hold what was read.

    Raises:
        BaseException: the error, as it is not about the event; see `failure_of`.
    """
    if isinstance(error, SerializationError):
        return error
    failure_of(error)
    refusal = DecodeError(f"{what}: {kind_and_place(error)}")
    return refusal.with_traceback(error.__traceback__)
