"""All that is fuzzed, by rooms: a process of one target imports no more than its room needs."""

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from fuzzing.target import Target

ROOMS: Final = (
    "envelopes",
    "bodies",
    "amplified",
    "letters",
    "topics",
    "amqp",
    "kafka",
    "engine",
)


def targets_of(room: str) -> Mapping[str, Target]:
    """The targets of one room, by name."""
    return {target.name: target for target in import_module(f"{__name__}.{room}").TARGETS}


def all_targets() -> Mapping[str, Target]:
    """Every target, by name."""
    return {name: target for room in ROOMS for name, target in targets_of(room).items()}


def room_of(name: str) -> str:
    """Where a target is."""
    return next(room for room in ROOMS if name in targets_of(room))
