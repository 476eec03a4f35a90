"""The seeds of the fuzzer, each given to its reader once: all that was ever found is among them."""

from pathlib import Path

import pytest

from fuzzing.target import Target
from fuzzing.targets import all_targets
from fuzzing.texts import CANARY, check_text, leaks
from fuzzing.watch import Watch


@pytest.mark.parametrize("target", all_targets().values(), ids=lambda target: target.name)
def test_no_seed_does_what_it_must_not(target: Target, tmp_path: Path) -> None:
    watch = Watch(target, tmp_path)
    for seed in target.seeds:
        watch(seed)
    assert list(watch.findings.values()) == []


def test_a_reader_that_raises_something_else_is_a_finding(tmp_path: Path) -> None:
    def run(data: bytes) -> None:
        raise OverflowError(f"{len(data)} bytes")

    watch = Watch(Target("wrong", run, [b"a"]), tmp_path)
    watch(b"a")
    watch(b"ab")
    (found,) = watch.findings.values()
    assert found["times"] == 2
    assert (tmp_path / str(found["file"])).read_bytes() == b"a"


def test_a_reader_that_takes_too_much_memory_is_a_finding(tmp_path: Path) -> None:
    def run(data: bytes) -> None:
        kept = bytearray(len(data) * 2**28)
        kept[:: 2**12] = b"x" * (len(kept) // 2**12)

    watch = Watch(Target("heavy", run, [b"a"]), tmp_path)
    watch(b"a")
    (found,) = watch.findings.values()
    assert "heavy: " in str(found["text"])


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (f'{{"a":"{CANARY}"}}', True),
        (f'{{"{CANARY}":1}}', False),
        (f'{{"data":{{"a":"{CANARY}"}}}}', True),
        (f'{{"id":"{CANARY}","data":1}}', False),
        (f"\x00{CANARY}", True),
    ],
)
def test_values_of_a_body_are_told_from_names(body: str, shown: bool) -> None:
    assert leaks(f"it says {CANARY}", body.encode()) is shown


def test_control_codes_in_a_text_are_a_finding() -> None:
    with pytest.raises(AssertionError, match="control codes"):
        check_text("a\x1b[31m", b"")
