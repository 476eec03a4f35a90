"""Which names Kafka allows for a topic."""

import re
from typing import Final

from dispytch.exceptions import TopologyError

MAX_LENGTH: Final = 249
_ALLOWED: Final = re.compile(r"[a-zA-Z0-9._-]+", re.ASCII)


def check_topic_name(name: str) -> None:
    """Return if Kafka can have a topic of this name.

    Raises:
        TopologyError: it cannot; the text says what is allowed.
    """
    if len(name) <= MAX_LENGTH and name not in (".", "..") and _ALLOWED.fullmatch(name):
        return
    shown = name if len(name) <= MAX_LENGTH else f"{name[:40]}... ({len(name)} characters)"
    raise TopologyError(
        f"Kafka cannot have a topic {shown!r}: a name has 1 to {MAX_LENGTH} characters out of "
        "a-z, A-Z, 0-9, '.', '_' and '-', and is neither '.' nor '..'; rename the topic, for "
        "instance with '.' where it has ':'"
    )
