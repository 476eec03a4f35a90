"""What is known of each partition, by a clock of the test's own."""

import logging

import pytest
from aiokafka.errors import KafkaStorageError
from brokers import kafka_batches as made

from dispytch.kafka.driver import partition_of
from dispytch.kafka.link import Link
from dispytch.kafka.reading import Reading
from dispytch.kafka.records import BrokenRecord
from dispytch.kafka.vacancy import Vacancy

HERE, THERE = partition_of("orders", 3), partition_of("orders", 4)
DAMAGED = made.batch(*made.some(2), intact=False, base=7)


class Time:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """Reads what the test says was fetched."""

    def __init__(self) -> None:
        self.time = Time()
        self.reading = Reading(100_000, self.time)
        self.pauses: list[float] = []

    def read(self, chunk: bytes, offset: int = 7) -> list[object]:
        records = self.reading.records(
            HERE, chunk, offset=offset, aborted=(), put_off=self.pauses.append
        )
        return list(records)

    def fail(self, error: Exception, offset: int = 7) -> None:
        self.reading.failed(HERE, offset, error, self.pauses.append)

    @property
    def problems(self) -> list[str]:
        return list(self.reading.problems({HERE, THERE}).values())


def test_damaged_bytes_are_fetched_again_and_the_problem_is_told_at_once() -> None:
    desk = Desk()
    assert desk.read(DAMAGED) == []
    (problem,) = desk.problems
    assert problem.startswith("orders[3] cannot be read from offset 7 on, for 0 s: ")
    assert "checksum" in problem
    assert desk.read(made.batch(*made.some(2), base=7)) != []
    assert desk.read(b"", offset=9) == []
    assert desk.problems == []


def test_pauses_grow_and_the_third_failure_at_a_place_passes_it_over() -> None:
    desk = Desk()
    assert [desk.read(DAMAGED), desk.read(DAMAGED)] == [[], []]
    (broken,) = desk.read(DAMAGED)
    assert isinstance(broken, BrokenRecord)
    assert broken.offset == 8
    assert desk.pauses == [0.3, 0.6]
    (problem,) = desk.problems
    assert problem.startswith("orders[3] cannot be read at offset 8: ")
    desk.time.now += 61
    assert desk.problems == []


def test_failures_are_counted_for_each_place() -> None:
    desk = Desk()
    desk.read(DAMAGED)
    desk.read(made.batch(*made.some(2), base=7), offset=7)
    later = made.batch(*made.some(2), intact=False, base=9)
    assert desk.read(later, offset=9) == []
    assert desk.read(later, offset=9) == []
    assert len(desk.read(later, offset=9)) == 1


def test_what_cannot_be_read_is_told_for_a_minute_and_counted() -> None:
    desk = Desk()
    for base in range(7, 12):
        desk.read(made.batch(*made.some(1), attributes=7, base=base), offset=base)
    (problem,) = desk.problems
    assert "orders[3] cannot be read at offset 11: " in problem
    assert "codec 7" in problem
    assert "(5 records of it could not be read)" in problem


def test_fetches_that_fail_are_a_problem_once_they_have_for_a_while() -> None:
    desk = Desk()
    for _ in range(12):
        desk.fail(KafkaStorageError())
    assert desk.problems == []
    assert desk.pauses[:4] == [0.3, 0.6, 1.2, 2.0]
    assert max(desk.pauses) == 2.0
    desk.time.now += 6
    (problem,) = desk.problems
    assert problem.startswith("orders[3] cannot be read from offset 7 on, for 6 s: ")
    assert "KafkaStorageError" in problem
    desk.read(b"")
    assert desk.problems == []


def test_what_is_not_held_any_more_is_no_problem_of_this_member() -> None:
    desk = Desk()
    desk.read(DAMAGED)
    assert list(desk.reading.problems({THERE})) == []
    assert desk.problems == []


def test_what_expired_unread_is_told_with_its_bounds(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.reading.expired(HERE, 7)
    desk.reading.expired(HERE, 7)
    assert desk.problems == []
    desk.read(b"", offset=105)
    text = "orders[3]: the records from 7 to 104 expired before they were read"
    assert desk.problems == [text]
    assert [(one.levelno, one.getMessage()) for one in caplog.records] == [(logging.WARNING, text)]
    desk.time.now += 301
    assert desk.problems == []


def test_a_topic_that_has_become_shorter_is_told() -> None:
    desk = Desk()
    desk.reading.expired(HERE, 500)
    desk.read(b"", offset=0)
    (problem,) = desk.problems
    assert problem.startswith("orders[3] does not reach up to 500")


def test_brokers_that_do_not_answer_are_told_with_the_reason() -> None:
    time = Time()
    link = Link("here:9092", time)
    assert link.problem is None
    ended = link.begun(patient=False)
    ended(ConnectionResetError())
    assert link.problem is None
    time.now += 3
    assert link.problem == "Kafka at here:9092 has not answered for 3 s: ConnectionResetError"
    link.begun(patient=False)(None)
    assert link.problem is None


def test_brokers_that_hang_are_told_unless_others_answer() -> None:
    time = Time()
    link = Link("here:9092", time)
    hanging = link.begun(patient=False)
    link.begun(patient=True)
    time.now += 5
    assert link.problem == "Kafka at here:9092 has not answered a request for 5 s"
    link.begun(patient=False)(None)
    assert link.problem is None
    hanging(None)
    time.now += 100
    assert link.problem is None, "a patient request may take as long as it wants"


def test_a_failure_to_connect_counts_until_something_answers() -> None:
    time = Time()
    link = Link("here:9092", time)
    link.failed(OSError("no route"))
    time.now += 10
    link.failed(OSError("refused"))
    assert link.problem == "Kafka at here:9092 has not answered for 10 s: refused"


def test_waiting_for_an_assignment_is_a_problem_once_it_lasts() -> None:
    time = Time()
    vacancy = Vacancy("billing", 30, time)
    time.now += 29
    assert vacancy.problem is None
    time.now += 2
    assert "'billing' has assigned no partitions to this member for 31 s" in str(vacancy.problem)
    vacancy.end()
    assert vacancy.problem is None
    vacancy.begin()
    time.now += 29
    vacancy.begin()
    assert vacancy.problem is None
    time.now += 1
    assert vacancy.problem is not None


def test_a_failure_that_began_it_is_told_at_once() -> None:
    time = Time()
    vacancy = Vacancy("billing", 30, time)
    vacancy.begin("its client failed: KafkaError")
    assert vacancy.problem == "nothing is read for 0 s: its client failed: KafkaError"
    vacancy.end()
    assert vacancy.problem is None
