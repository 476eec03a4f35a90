"""Unpacking what batches are compressed with, within bounds."""

import gzip
from time import perf_counter

import pytest

from dispytch.kafka.compression import Unreadable, unpacked

GZIP = 1


def test_several_members_of_gzip_are_one_after_another() -> None:
    packed = b"".join(gzip.compress(bytes([number])) for number in range(100))
    assert unpacked(GZIP, memoryview(packed), 1000) == bytes(range(100))


def test_very_many_members_of_gzip_do_not_take_their_square() -> None:
    member = gzip.compress(b"")
    packed = member * (1_000_000 // len(member))
    before = perf_counter()
    with pytest.raises(Unreadable, match="more than 100 members"):
        unpacked(GZIP, memoryview(packed), 1000)
    assert perf_counter() - before < 2
