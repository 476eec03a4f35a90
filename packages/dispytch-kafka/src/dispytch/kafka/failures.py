"""The driver's errors, in the terms of the contract."""

from aiokafka import errors  # type: ignore[import-untyped,unused-ignore]

from dispytch.exceptions import MessageTooLarge, TransportError

KafkaError: type[Exception] = errors.KafkaError
ClientClosed: type[Exception] = errors.ProducerClosed
TooLarge: tuple[type[Exception], ...] = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
)

_HOPELESS = (
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.SaslAuthenticationFailed,
    errors.UnsupportedSaslMechanismError,
    errors.UnsupportedVersionError,
    errors.IncompatibleBrokerVersion,
    errors.InconsistentGroupProtocolError,
    errors.InvalidSessionTimeoutError,
    errors.InvalidGroupIdError,
)
_STALE_PRODUCER = (
    errors.OutOfOrderSequenceNumber,
    errors.InvalidProducerEpoch,
    errors.ProducerFenced,
    errors.UnknownProducerId,
    errors.InvalidProducerIdMapping,
    errors.ProducerClosed,
)
_LOST_MEMBERSHIP = (
    errors.UnknownMemberIdError,
    errors.IllegalGenerationError,
)


def is_hopeless(error: BaseException) -> bool:
    """Whether neither time nor a new client can help."""
    return isinstance(error, _HOPELESS)


def passes_by_itself(error: BaseException) -> bool:
    """Whether the driver goes on after this error."""
    return isinstance(error, KafkaError) and bool(getattr(error, "retriable", False))


def needs_new_producer(error: BaseException) -> bool:
    """Whether the batch was refused for the producer's state, and would be taken from a new one.

    An error that is nothing but a `KafkaError` is what the driver raises when its own sender has
    ended.
    """
    return (
        isinstance(error, _STALE_PRODUCER) or type(error) is KafkaError or passes_by_itself(error)
    )


def has_lost_membership(error: BaseException) -> bool:
    """Whether a commit failed because the group has given the partitions to others."""
    return isinstance(error, errors.IllegalStateError) or (
        isinstance(error, errors.CommitFailedError)
        and isinstance(error.__cause__, _LOST_MEMBERSHIP)
    )


def send_failure(error: BaseException, where: str, size: int) -> TransportError:
    """Why a message was not taken."""
    if isinstance(error, TooLarge):
        failure: TransportError = MessageTooLarge(
            f"{where} refuses a message of {size} bytes: raise max.message.bytes of the topic, or "
            "send less"
        )
    else:
        failure = TransportError(f"{where} refuses a message: {error}")
    failure.__cause__ = error
    return failure
