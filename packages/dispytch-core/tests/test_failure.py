"""The failure policies there are."""

import pytest

from dispytch.exceptions import ConfigurationError
from dispytch.failure import checked


@pytest.mark.parametrize("policy", ["halt", "drop"])
def test_a_known_policy_is_returned(policy: str) -> None:
    assert checked(policy) == policy


@pytest.mark.parametrize("policy", ["ignore", "", None, True, ["halt"]])
def test_any_other_is_refused(policy: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked(policy)
    assert str(caught.value) == f"dead_letter must be one of 'halt', 'drop', not {policy!r}"
