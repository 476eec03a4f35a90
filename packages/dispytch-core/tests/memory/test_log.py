"""The log of one partition."""

from hypothesis import given
from hypothesis import strategies as st

from dispytch.memory.log import PartitionLog, Record


def record(number: int) -> Record:
    return Record(None, b"%d" % number, (), 0)


@given(
    retention=st.integers(1, 7),
    steps=st.lists(st.sampled_from(["append", "discard"]), max_size=60),
    position=st.integers(0, 60),
    limit=st.integers(0, 10),
)
def test_reads_what_was_appended_and_not_discarded(
    retention: int, steps: list[str], position: int, limit: int
) -> None:
    log = PartitionLog(retention)
    every: list[Record] = []
    start = 0
    for step in steps:
        if step == "append" and len(every) - start < retention:
            assert not log.full
            every.append(record(len(every)))
            log.append(every[-1])
        elif step == "discard" and start < len(every):
            log.discard_oldest()
            start += 1
        assert (log.start, log.end) == (start, len(every))
        assert log.full == (len(every) - start == retention)
    position = min(max(position, start), len(every))
    assert log.read(position, limit) == every[position : position + limit]
