"""Reading what was fetched, whatever is in it."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.record.legacy_records import (  # type: ignore[import-untyped,unused-ignore]
    LegacyRecordBatchBuilder,
)
from brokers import kafka_batches as made

from dispytch.kafka.batches import Fetched
from dispytch.kafka.records import MAX_HEADERS, BrokenRecord

LIMIT = 1_000_000
CODECS = {"none": 0, "gzip": made.GZIP, "snappy": made.SNAPPY, "lz4": made.LZ4, "zstd": made.ZSTD}


class Table:
    """What was read of some bytes, and what was told of them."""

    def __init__(
        self,
        chunk: bytes,
        *,
        offset: int = 0,
        aborted: Sequence[tuple[int, int]] = (),
        limit: int = LIMIT,
        gives_up: bool = True,
    ) -> None:
        self.asked: list[tuple[int, str]] = []
        self.told: list[tuple[int, str]] = []

        def give_up(offset: int, reason: str) -> bool:
            self.asked.append((offset, reason))
            return gives_up

        self.fetched = Fetched(
            chunk,
            offset=offset,
            aborted=aborted,
            limit=limit,
            give_up=give_up,
            broken=lambda offset, reason: self.told.append((offset, reason)),
        )
        self.records: list[Any] = list(self.fetched)
        self.next = self.fetched.next_fetch_offset

    @property
    def good(self) -> list[tuple[int, bytes | None]]:
        return [(one.offset, one.value) for one in self.records if type(one) is not BrokenRecord]

    @property
    def broken(self) -> dict[int, str]:
        found = {one.offset: one.reason for one in self.records if isinstance(one, BrokenRecord)}
        assert list(found.items()) == self.told
        return found


@pytest.mark.parametrize("packed", CODECS.values(), ids=CODECS)
def test_every_codec_of_kafka_is_read(packed: int) -> None:
    headers = [(b"ce_id", b"1"), (b"none", None), (b"ce_id", b"2")]
    read = Table(made.batch(*made.some(300, headers=headers), base=7, packed=packed), offset=7)
    assert read.good == [(7 + index, b"%d" % index) for index in range(300)]
    assert not read.broken
    assert read.next == 307
    first = read.records[0]
    assert (first.key, first.timestamp) == (b"key", 1000)
    assert tuple(first.headers) == (("ce_id", b"1"), ("none", None), ("ce_id", b"2"))


@pytest.mark.parametrize("packed", CODECS.values(), ids=CODECS)
def test_a_header_whose_name_is_not_utf8_is_kept_byte_for_byte(packed: int) -> None:
    odd = made.record(1, headers=[(b"caf\xe9", b"x"), (b"good", b"y")])
    read = Table(made.batch(made.record(0), odd, made.record(2), packed=packed))
    assert [offset for offset, _ in read.good] == [0, 1, 2]
    (name, value), good = read.records[1].headers
    assert (name.encode("utf-8", "surrogateescape"), value) == (b"caf\xe9", b"x")
    assert good == ("good", b"y")
    assert read.records[2].timestamp == 1002


def test_the_time_of_a_broker_stands_for_all_records_of_a_batch() -> None:
    odd = made.record(1, headers=[(b"\xff", b"x")])
    read = Table(made.batch(made.record(0), odd, attributes=made.APPEND_TIME))
    assert [one.timestamp for one in read.records] == [2000, 2000]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (made.record(1, tail=b"more"), "4 bytes follow its headers"),
        (made.record(1, count=3), "1 bytes are announced where 0 are left"),
        (made.record(1, count=-1), "it has -1 headers"),
        (made.record(1, count=MAX_HEADERS + 1), f"where {MAX_HEADERS} are allowed"),
        (made.record(9), "it claims the offset 49"),
        (made.record(-1), "it claims the offset 39"),
        (made.nullable(b"\x00" + b"\xff" * 11), "longer than 64 bits"),
        (made.nullable(b""), "1 bytes are announced where 0 are left"),
        (made.nullable(b"\x00\x00\x02" + made.number(2**62)), "bytes are announced"),
    ],
    ids=[
        "tail",
        "too-few-headers",
        "negative-headers",
        "too-many-headers",
        "offset-beyond",
        "offset-before",
        "long-number",
        "empty",
        "huge-key",
    ],
)
@pytest.mark.parametrize("packed", [0, made.ZSTD], ids=["none", "zstd"])
def test_a_record_that_cannot_be_read_is_broken_at_its_place(
    bad: bytes, reason: str, packed: int
) -> None:
    read = Table(made.batch(made.record(0), bad, made.record(2), base=40, packed=packed), offset=40)
    assert [offset for offset, _ in read.good] == [40, 42]
    assert list(read.broken) == [41]
    assert reason in read.broken[41]
    assert read.next == 43
    assert not read.asked, "the same bytes would come again"


def test_what_could_be_read_of_a_broken_record_is_there() -> None:
    bad = made.record(0, b"body", key=b"k", headers=[(b"a", b"1")], tail=b"?")
    (broken,) = Table(made.batch(bad)).records
    assert (broken.key, broken.value) == (b"k", b"body")


def test_where_even_the_length_of_a_record_is_wrong_the_rest_of_its_batch_is_broken() -> None:
    chunk = made.batch(made.record(0), made.number(500) + b"abc", made.record(2), made.record(3))
    read = Table(chunk + made.batch(made.record(0), base=4))
    assert [offset for offset, _ in read.good] == [0, 4]
    assert "from the record 2 of 4 in its batch on" in read.broken[3]
    assert read.next == 5


def test_bytes_after_the_last_record_are_told_where_an_offset_is_left_for_them() -> None:
    read = Table(made.batch(made.record(0), made.record(1), count=1, delta=1))
    assert [offset for offset, _ in read.good] == [0]
    assert "follow the last of the 1 records" in read.broken[1]


@pytest.mark.parametrize(
    ("chunk", "reason"),
    [
        (made.batch(*made.some(3), packed=made.GZIP, payload=b"nonsense", count=3), "gzip"),
        (made.batch(*made.some(3), packed=made.ZSTD, payload=b"", count=3), "zstd"),
        (made.batch(*made.some(3), packed=made.LZ4, payload=b"\x00" * 9, count=3), "lz4"),
        (made.batch(*made.some(3), packed=made.SNAPPY, payload=b"\xff" * 9, count=3), "snappy"),
        (made.batch(*made.some(3), packed=made.GZIP, payload=b"", count=3), "record 1 of 3"),
        (made.batch(*made.some(3), attributes=5), "codec 5, which Kafka does not have"),
        (made.batch(*made.some(3), attributes=7), "codec 7, which Kafka does not have"),
        (made.batch(*made.some(3), magic=3), "its format is 3"),
        (made.batch(*made.some(3), magic=120), "its format is 120"),
    ],
    ids=["gzip", "zstd", "lz4", "snappy", "empty", "codec-5", "codec-7", "magic-3", "magic-120"],
)
def test_a_batch_that_cannot_be_read_is_broken_as_a_whole(chunk: bytes, reason: str) -> None:
    read = Table(chunk + made.batch(made.record(0, b"next"), base=3))
    assert list(read.broken) == [2]
    assert reason in read.broken[2]
    assert read.good == [(3, b"next")]


@pytest.mark.parametrize("packed", [*CODECS.values()][1:], ids=[*CODECS][1:])
def test_a_batch_that_holds_more_than_is_allowed_is_not_unpacked(packed: int) -> None:
    chunk = made.batch(made.record(0, bytes(LIMIT)), packed=packed)
    assert len(chunk) < LIMIT / 10
    read = Table(chunk + made.batch(made.record(0, b"next"), base=1))
    assert "more than 1000000 bytes; raise max_batch_bytes" in read.broken[0]
    assert read.good == [(1, b"next")]
    assert not Table(chunk, limit=LIMIT + 100).broken


def test_a_large_record_of_nothing_but_headers_is_not_read() -> None:
    bomb = made.record(0, headers=[(b"", None)] * 600_000)
    read = Table(made.batch(bomb, made.record(1)), limit=2 * LIMIT)
    assert "it has 600000 headers" in read.broken[0]
    assert [offset for offset, _ in read.good] == [1]


def test_a_wrong_checksum_is_fetched_again_and_passed_over_in_the_end() -> None:
    good = made.batch(*made.some(2))
    chunk = (
        good + made.batch(*made.some(5), base=2, intact=False) + made.batch(*made.some(1), base=7)
    )
    again = Table(chunk, gives_up=False)
    assert again.next == 2
    assert len(again.records) == 2
    ((offset, reason),) = again.asked
    assert offset == 2
    assert "checksum" in reason
    passed = Table(chunk, gives_up=True)
    assert [offset for offset, _ in passed.good] == [0, 1, 7]
    assert list(passed.broken) == [6]


def test_of_a_header_that_does_not_agree_with_itself_only_one_offset_is_passed_over() -> None:
    read = Table(made.batch(*made.some(5), delta=900, intact=False), offset=0)
    assert list(read.broken) == [0]
    assert read.next == 1


@pytest.mark.parametrize(
    "chunk",
    [
        b"\x00" * 40,
        made.batch(*made.some(2))[:50],
        b"\xff" * 30,
        b"x",
        made.batch(*made.some(2))[:-1],
    ],
    ids=["zeros", "cut", "ones", "a-byte", "cut-at-the-end"],
)
def test_what_is_no_batch_is_passed_over_offset_by_offset(chunk: bytes) -> None:
    assert Table(chunk, offset=9, gives_up=False).next == 9
    read = Table(chunk, offset=9)
    assert list(read.broken) == [9]
    assert read.next == 10


def test_the_last_batch_may_be_cut_off() -> None:
    first, second = made.batch(*made.some(2)), made.batch(*made.some(2), base=2)
    for cut in range(1, len(second)):
        read = Table(first + second[:-cut])
        assert [offset for offset, _ in read.good] == [0, 1]
        assert (read.next, read.asked) == (2, [])


def test_reading_begins_where_it_was_asked_to_in_the_middle_of_a_batch() -> None:
    odd = made.record(3, headers=[(b"\xff", b"")])
    read = Table(made.batch(*made.some(3), odd, made.record(4)), offset=2)
    assert [offset for offset, _ in read.good] == [2, 3, 4]


def test_gaps_of_compaction_are_passed_over() -> None:
    read = Table(made.batch(made.record(2), made.record(5), delta=9, base=10), offset=10)
    assert [offset for offset, _ in read.good] == [12, 15]
    assert read.next == 20
    assert Table(made.batch(base=10, count=0, delta=4), offset=10).next == 15


def test_aborted_transactions_and_markers_are_not_read() -> None:
    of = {"attributes": made.TRANSACTIONAL}
    chunk = b"".join(
        [
            made.batch(*made.some(2), base=0, producer=1, **of),  # type: ignore[arg-type]
            made.batch(*made.some(2), base=2, producer=2, **of),  # type: ignore[arg-type]
            made.marker(0, base=4, producer=1, version=1),
            made.marker(1, base=5, producer=2),
            made.marker(6, base=6, producer=3),
            made.batch(*made.some(1), base=7, producer=1, **of),  # type: ignore[arg-type]
        ]
    )
    read = Table(chunk, aborted=[(1, 0)])
    assert [offset for offset, _ in read.good] == [2, 3, 7]
    assert read.next == 8


def test_a_marker_that_nobody_can_read_is_a_marker() -> None:
    chunk = made.batch(made.nullable(b""), attributes=made.CONTROL, base=3)
    read = Table(chunk + made.batch(*made.some(1), base=4), offset=3)
    assert [offset for offset, _ in read.good] == [4]


@pytest.mark.parametrize(
    ("magic", "packed"),
    [(0, 0), (0, made.GZIP), (0, made.SNAPPY), (1, 0), (1, made.GZIP), (1, made.LZ4)],
)
def test_messages_of_older_formats_are_read(magic: int, packed: int) -> None:
    builder = LegacyRecordBatchBuilder(magic, packed, 1_000_000)
    for index in range(5):
        builder.append(index, 1000 + index, b"key", b"%d" % index)
    chunk = bytearray(builder.build())
    if packed:
        # The broker gives what holds others the offset of the last of them.
        chunk[:8] = (4).to_bytes(8, "big")
    read = Table(bytes(chunk))
    assert read.good == [(index, b"%d" % index) for index in range(5)]
    assert read.next == 5
    times = [one.timestamp for one in read.records]
    assert times == ([1000, 1001, 1002, 1003, 1004] if magic else [-1] * 5)


def test_a_message_of_an_older_format_that_holds_too_much_or_nonsense_is_broken() -> None:
    builder = LegacyRecordBatchBuilder(1, made.GZIP, 10_000_000)
    builder.append(0, 1000, b"key", bytes(LIMIT))
    assert "raise max_batch_bytes" in Table(bytes(builder.build())).broken[0]
    plain = LegacyRecordBatchBuilder(1, 0, 1000)
    plain.append(0, 1000, b"key", b"value")
    chunk = bytearray(plain.build())
    chunk[-1] ^= 1
    assert "checksum" in Table(bytes(chunk)).broken[0]


def test_no_bytes_end_the_reading_or_go_back() -> None:
    """Good batches with some bytes changed, checksums right and wrong."""
    draw = random.Random(7)
    chunks = [
        made.batch(*made.some(4, headers=[(b"h", b"v")]), packed=packed)
        for packed in CODECS.values()
    ]
    for _ in range(4000):
        content = bytearray(b"".join(made.some(4, headers=[(b"h", b"v")])))
        for _ in range(draw.randint(1, 4)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        chunks.append(made.batch(payload=bytes(content), count=4))
        raw = bytearray(draw.choice(chunks[:5]))
        raw[draw.randrange(len(raw))] = draw.randrange(256)
        chunks.append(bytes(raw))
    for chunk in chunks:
        read = Table(chunk)
        offsets = [one.offset for one in read.records]
        assert offsets == sorted(set(offsets))
        assert not offsets or offsets[-1] < read.next
        assert set(read.broken) <= set(offsets)
