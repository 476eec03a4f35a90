"""What becomes of an event that cannot be handled."""

from typing import Literal, get_args

from dispytch.exceptions import ConfigurationError

FailurePolicy = Literal["halt", "drop"]
"""``"halt"``: leave the event unsettled, stop the listener and raise, so that nothing is lost.
``"drop"``: log the event as an error, settle it, go on."""


def checked(policy: object) -> FailurePolicy:
    """The policy, if it is one.

    Raises:
        ConfigurationError: it is not; the text names those there are.
    """
    for known in get_args(FailurePolicy):
        if policy == known:
            return known  # type: ignore[no-any-return]
    raise ConfigurationError(
        f"dead_letter must be one of {', '.join(map(repr, get_args(FailurePolicy)))}, "
        f"not {policy!r}"
    )
