import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dispytch.printable import described, printable, qualified_name, quoted, type_name

HUGE = 100_000_000


class Hostile(Exception):
    def __init__(self, outcome: object) -> None:
        super().__init__()
        self.outcome = outcome

    def __str__(self) -> Any:
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    __repr__ = __str__


class Liar(str):
    def __getitem__(self, key: object) -> str:
        raise RuntimeError("no slice")

    def isprintable(self) -> bool:
        raise RuntimeError("no answer")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("orders", "orders"),
        ("Größe: 日本", "Größe: 日本"),
        ("a\r\nb\tc\x00\x1b[31m", r"a\r\nb\tc\x00\x1b[31m"),
        ("lone \ud800 surrogate", r"lone \ud800 surrogate"),
        ("right\u202eleft\u2028line", r"right\u202eleft\u2028line"),
        (b"caf\xc3\xa9 \xff\n", "café \\xff\\n"),
        (Liar("text"), "text"),
        (None, "None"),
        (12, "12"),
        (float("nan"), "nan"),
        ({"a": [1, "b"]}, "{'a': [1, 'b']}"),
        (ValueError("bad\nline"), r"bad\nline"),
        (ValueError("a", 1), "('a', 1)"),
        (ValueError(), ""),
        (KeyError("k"), "'k'"),
        (OSError(2, "missing"), "[Errno 2] missing"),
    ],
)
def test_a_text_is_on_one_line_and_escaped(value: object, shown: str) -> None:
    assert printable(value) == shown


def test_an_int_too_long_to_be_written_is_not() -> None:
    assert printable(10**5000) == "<a huge int>"
    assert printable([10**5000]) == "[<a huge int>]"
    assert printable(ValueError(10**5000)) == "<a huge int>"


def test_names_are_quoted_within_a_sentence_and_none_is_not() -> None:
    assert quoted("a\nb") == r"'a\nb'"
    assert quoted(None) == "None"


@pytest.mark.parametrize(
    "outcome",
    [RuntimeError("no"), RecursionError(), SystemError(), GeneratorExit(), 5, None, b"bytes"],
    ids=repr,
)
def test_what_has_no_text_is_named_by_its_type(outcome: object) -> None:
    assert printable(Hostile(outcome)) == "<Hostile without a text>"
    assert described(Hostile(outcome)) == "Hostile: <Hostile without a text>"


def test_an_error_within_itself_ends() -> None:
    error = ValueError()
    error.args = (error,)
    assert printable(error) == "<ValueError without a text>"


def test_args_that_raise_are_not_asked() -> None:
    class Argless(Exception):
        @property
        def args(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
            raise RuntimeError("no args")

    assert printable(Argless("text")) == "text"


def test_a_name_cannot_be_made_to_fail() -> None:
    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            raise RuntimeError(f"no {name}")

    class Named(metaclass=Meta):
        __module__ = 7  # type: ignore[assignment]

    assert type_name(Named()).endswith("Named")
    assert qualified_name(Named()).endswith("Named")
    assert qualified_name(ValueError()) == "builtins.ValueError"


def test_an_interrupt_is_no_answer() -> None:
    with pytest.raises(KeyboardInterrupt):
        printable(Hostile(KeyboardInterrupt()))


def test_a_cut_counts_characters_and_bytes_and_shows() -> None:
    assert printable("x" * 200, 200) == "x" * 200
    assert printable("x" * 201, 200) == "x" * 197 + "..."
    assert printable("日" * 100, 200) == "日" * 65 + "..."
    assert printable("\n" * 100, 11) == r"\n\n\n\n..."


@pytest.mark.parametrize(
    "make",
    [
        lambda: "x" * HUGE,
        lambda: b"x" * HUGE,
        lambda: ValueError("x" * HUGE),
        lambda: KeyError(b"x" * HUGE),
        lambda: ValueError(["x" * HUGE], {"x" * HUGE: 1}),
        lambda: {"x" * HUGE: [b"x" * HUGE]},
        lambda: [0] * (HUGE // 8),
    ],
    ids=["str", "bytes", "error", "KeyError", "args", "dict", "list"],
)
def test_what_is_cut_off_costs_nothing(make: Callable[[], object]) -> None:
    value = make()
    tracemalloc.start()
    try:
        text = printable(value)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(text) <= 200
    assert peak < 100_000


def test_a_validation_error_shows_none_of_its_values() -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(list[int]).validate_python(["secret"] * 10)
    assert "secret" not in printable(refused.value)
    assert printable(refused.value).startswith("list[int]: 0: Input should be a valid integer")
    assert printable(refused.value, 1000).endswith("; and 5 more")


@given(st.text() | st.binary(), st.integers(3, 50))
def test_any_text_fits_and_is_printable(value: str | bytes, limit: int) -> None:
    text = printable(value, limit)
    assert text.isprintable()
    assert len(text.encode()) <= limit
    assert printable(text, limit) == text


def test_surrogates_from_any_bytes_are_borne() -> None:
    name = bytes(range(256)).decode("utf-8", "surrogateescape")
    assert printable(name, 5000).encode(sys.getdefaultencoding())
