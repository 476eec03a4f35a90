"""The checker itself: it must see every fault that it is there for."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from faults.journal import Entry, Journal, JournalReader
from faults.ledger import Ledger
from faults.step import numbers_of, rounds


def handled(*numbers: int, key: str = "a", pid: int = 1) -> list[Entry]:
    """Runs one after the other."""
    return [
        Entry(mark, key, number, pid, 10 * index + offset, "s", number)
        for index, number in enumerate(numbers)
        for mark, offset in (("begun", 0), ("done", 5))
    ]


def run(number: int, start: int, end: int, *, key: str = "a", pid: int = 1) -> list[Entry]:
    return [
        Entry("begun", key, number, pid, start, "s", number),
        Entry("done", key, number, pid, end, "s", number),
    ]


def test_all_is_well() -> None:
    ledger = Ledger({"a": range(4)}, handled(0, 1, 2, 3))
    assert (ledger.lost, ledger.disorder, ledger.strangers) == ({}, {}, {})
    assert (ledger.duplicates, ledger.overlaps, ledger.handled) == (0, [], 4)


def test_what_was_not_handled_is_lost() -> None:
    ledger = Ledger({"a": range(4), "b": [0]}, handled(0, 3))
    assert ledger.lost == {"a": [1, 2], "b": [0]}


def test_what_only_began_is_lost_and_interrupted() -> None:
    ledger = Ledger({"a": [0]}, handled(0)[:1])
    assert (ledger.lost, ledger.interrupted) == ({"a": [0]}, 1)


def test_what_was_cut_is_lost() -> None:
    entries = [Entry("begun", "a", 0, 1, 0, "s", 0), Entry("cut", "a", 0, 1, 5, "s", 0)]
    ledger = Ledger({"a": [0]}, entries)
    assert (ledger.lost, ledger.interrupted, ledger.cut) == ({"a": [0]}, 0, 1)


def test_a_dead_letter_is_accounted_for() -> None:
    assert Ledger({"a": range(3)}, handled(0, 2), dead={"a": [1]}).lost == {}


def test_a_number_first_seen_after_a_larger_one_is_disorder() -> None:
    assert Ledger({"a": range(4)}, handled(0, 2, 1, 3)).disorder == {"a": [1]}


def test_a_repeat_is_a_duplicate_and_no_disorder() -> None:
    ledger = Ledger({"a": range(4)}, handled(0, 1, 2, 1, 2, 3))
    assert (ledger.disorder, ledger.duplicates) == ({}, 2)


def test_keys_have_no_order_among_each_other() -> None:
    entries = handled(1, key="a") + handled(0, key="b") + handled(2, key="a")
    assert Ledger({"a": [1, 2], "b": [0]}, entries).disorder == {}


def test_what_was_never_emitted_is_a_stranger() -> None:
    assert Ledger({"a": [0]}, handled(0, 7)).strangers == {"a": [7]}


@pytest.mark.parametrize("pid", [1, 2])
def test_two_runs_of_one_key_at_once_overlap(pid: int) -> None:
    ledger = Ledger({"a": range(2)}, run(0, 0, 10) + run(1, 9, 12, pid=pid))
    assert len(ledger.overlaps) == 1


def test_a_long_run_overlaps_with_all_that_begin_within_it() -> None:
    entries = run(0, 0, 100, pid=2) + run(1, 10, 20) + run(2, 30, 40) + run(3, 100, 110)
    assert len(Ledger({"a": range(4)}, entries).overlaps) == 2


def test_runs_that_touch_and_runs_of_other_keys_do_not_overlap() -> None:
    entries = run(0, 0, 10) + run(1, 10, 20, pid=2) + run(0, 5, 15, key="b", pid=2)
    ledger = Ledger({"a": range(2), "b": [0]}, entries)
    assert ledger.overlaps == []
    assert ledger.most_at_once == 2


def test_an_event_that_one_process_runs_again_after_a_cut_is_two_runs() -> None:
    entries = [*handled(0)[:1], *handled(0)]
    ledger = Ledger({"a": [0]}, entries)
    assert (len(ledger.runs), ledger.interrupted, ledger.lost) == (2, 1, {})


def test_rounds_are_a_known_set() -> None:
    made = rounds("t", events=5_000, keys=200)
    steps = [step for batch in made for step in batch]
    assert len(steps) == 5_000
    assert numbers_of(steps) == {f"key-{n}": list(range(25)) for n in range(200)}
    assert all(len({step.key for step in batch}) == 200 for batch in made)


def test_a_journal_is_read_as_it_was_written_while_it_grows(tmp_path: Path) -> None:
    journal, reader = Journal(tmp_path / "journal"), JournalReader(tmp_path / "journal")
    journal.note("begun", "a", 0, "s", 7)
    assert [entry.mark for entry in reader.entries()] == ["begun"]
    journal.note("done", "a", 0, "s", 7)
    with (tmp_path / "journal").open("ab") as file:
        file.write(b"begun\ta\t1")
    assert [(entry.mark, entry.position) for entry in reader.entries()] == [
        ("begun", 7),
        ("done", 7),
    ]


def test_any_single_fault_in_a_long_history_is_seen() -> None:
    draw = random.Random(3)
    numbers = list(range(300))

    def reckoned(seen: Sequence[int]) -> tuple[bool, bool, bool]:
        ledger = Ledger({"a": numbers}, handled(*seen))
        return bool(ledger.lost), bool(ledger.disorder), bool(ledger.duplicates)

    for _ in range(50):
        place = draw.randrange(299)
        swapped = [*numbers[:place], numbers[place + 1], numbers[place], *numbers[place + 2 :]]
        assert reckoned(swapped) == (False, True, False)
        assert reckoned(numbers[:place] + numbers[place + 1 :]) == (True, False, False)
        assert reckoned([*numbers[: place + 1], *numbers[place // 2 :]]) == (False, False, True)
