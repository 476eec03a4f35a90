"""How much a few bytes may stand for."""

from dataclasses import dataclass
from typing import Final

from dispytch.exceptions import ConfigurationError

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""As many bytes as RabbitMQ takes by default; Kafka takes 1 MiB."""


def is_size(value: object) -> bool:
    """Whether a value can be the most bytes that a body may have; None: there is no limit."""
    return value is None or (isinstance(value, int) and type(value) is not bool and value >= 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a format may make of a body whose bytes stand for far more than their number.

    A body that goes beyond them is undecodable; how long it may be is not decided here.

    depth: how many lists, maps and records may lie within each other.
    values: how many values that take no bytes of their own a body may have: the items of an Avro
        array of nulls, 100,000 unless told otherwise; the fields that a Protobuf message leaves at
        their defaults.

    Raises:
        ConfigurationError: one of them is not a whole number from 1 on.
    """

    depth: int = 200
    values: int = 1_000_000

    def __post_init__(self) -> None:
        for name in ("depth", "values"):
            number: object = getattr(self, name)
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise ConfigurationError(
                    f"Limits: {name} must be a whole number from 1 on (given: {number!r})"
                )


DEFAULT_LIMITS: Final = Limits()

AVRO_LIMITS: Final = Limits(values=100_000)
"""An Avro array of values without bytes says nothing but its length: 27 bytes may stand for it."""
