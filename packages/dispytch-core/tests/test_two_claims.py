"""Two distributions that claim one name of a backend."""

from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from dispytch import backends
from dispytch.exceptions import BackendUnusable


class Distribution:
    def __init__(self, name: str) -> None:
        self.name = name


def entry(distribution: str, value: str = "dispytch.memory:MemoryBackend") -> EntryPoint:
    made = EntryPoint("twice", value, backends.GROUP)
    vars(made).update(dist=Distribution(distribution))
    return made


def installed(monkeypatch: pytest.MonkeyPatch, *entries: EntryPoint) -> None:
    def found(**_: Any) -> EntryPoints:
        return EntryPoints(entries)

    monkeypatch.setattr(backends, "entry_points", found)
    monkeypatch.setattr(backends, "_registered", {})


def test_they_are_refused_and_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, entry("good-one"), entry("evil-one"))
    with pytest.raises(BackendUnusable, match=r"evil-one \(.*\) and good-one \(.*\): uninstall"):
        backends.backend_class("twice")


def test_one_that_is_found_in_two_places_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, entry("good-one"), entry("good-one"))
    assert backends.backend_class("twice").__name__ == "MemoryBackend"
