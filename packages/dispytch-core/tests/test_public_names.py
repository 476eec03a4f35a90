"""What ``import dispytch`` gives."""

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import dispytch
import dispytch.middleware


@pytest.mark.parametrize("module", [dispytch, dispytch.middleware])
def test_all_names_are_there_and_sorted(module: ModuleType) -> None:
    assert list(module.__all__) == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_type_checkers_are_told_what_is_imported() -> None:
    told = {
        alias.name: statement.module
        for block in ast.parse(Path(dispytch.__file__).read_text()).body
        if isinstance(block, ast.If)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert told.keys() == set(dispytch.__all__) - {"__path__"}
    for name, module in told.items():
        assert module is not None
        assert getattr(dispytch, name) is getattr(sys.modules[module], name)


def test_what_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'dispytch' has no attribute 'Emitter'"):
        dispytch.Emitter  # type: ignore[attr-defined]  # noqa: B018
    assert "EventEmitter" in dir(dispytch)


def test_a_program_imports_what_it_asks_for_alone() -> None:
    script = "import sys, dispytch; dispytch.EventBase; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = set(ran.stdout.split())
    assert "dispytch.events" in imported
    assert not imported & {"dispytch.listener", "dispytch.emitter", "dispytch.routing"}
