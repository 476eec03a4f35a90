"""What is fuzzed, and what counts as a finding."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


class Finding(AssertionError):
    """A target has done what it promises not to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """One reader of hostile bytes.

    run: takes an input; whatever it raises is a finding.
    seeds: inputs to begin with. words: what mutations may put in.
    weight: its share of the inputs, next to the other targets.
    max_len: the longest input. size: how many bytes one stands for, if not its own.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: Sequence[bytes]
    words: Sequence[bytes] = ()
    weight: float = 1.0
    max_len: int = 4096
    size: int = 0
