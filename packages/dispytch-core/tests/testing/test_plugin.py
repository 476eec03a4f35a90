"""The pytest plugin, in pytest runs of its own."""

import subprocess
import sys
import textwrap
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = ("-p", "no:cacheprovider", "-p", "pytest_dispytch")
"""By name too, for an installation that is older than the entry point: it is loaded once."""

SERVICE = """
import pytest
from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup

class Placed(EventBase):
    __topic__ = "orders"
    __event_type__ = "placed"
    number: int

class Paid(Placed):
    __topic__ = "payments"
    __event_type__ = "paid"

orders = HandlerGroup("orders", "placed")

@orders.handler()
async def pay(event: Event[Placed], emitter: EventEmitter) -> None:
    if event.body.number < 0:
        raise ValueError("no such order")
    await emitter.emit(Paid(number=event.body.number))

listener = EventListener("memory://", group="shop")
listener.add_handler_group(orders)
"""

TEST = """
async def test_paid(dispytch_probe):
    probe, other = await dispytch_probe(listener), await dispytch_probe(listener, clock="manual")
    await probe.emit(Placed(number={number}))
    await probe.settled()
    assert probe.emitted.of(Paid) == [Paid(number={number})] or {number} < 0
    assert other.emitted == []
"""


def pytest_run(folder: Path, program: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(textwrap.dedent(program))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *LOADED, *options, folder],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        timeout=100,
    )


def service_test(number: int = 1, mark: str = "") -> str:
    test = textwrap.dedent(TEST).format(number=number)
    return SERVICE + (f"\n@{mark}" if mark else "") + test


STRICT = (
    "pytest.mark.asyncio",
    'pytest.mark.parametrize("anyio_backend", ["asyncio"])\n@pytest.mark.anyio',
)


def test_the_fixture_starts_probes_and_judges_when_the_test_ends(tmp_path: Path) -> None:
    program = service_test() + service_test(number=-1).removeprefix(SERVICE).replace("paid", "bad")
    done = pytest_run(tmp_path, program, "-o", "asyncio_mode=auto")
    assert "2 passed, 1 error" in done.stdout, done.stdout
    assert "UnseenFailure" in done.stdout
    assert "ValueError: no such order" in done.stdout


@pytest.mark.parametrize("mark", STRICT if find_spec("anyio") else STRICT[:1])
def test_a_test_may_be_marked_for_its_runner(tmp_path: Path, mark: str) -> None:
    done = pytest_run(tmp_path, service_test(mark=mark), "-o", "asyncio_mode=strict")
    assert "1 passed" in done.stdout, done.stdout


def test_without_a_runner_the_remedy_is_named(tmp_path: Path) -> None:
    program = "def test_it(dispytch_probe): ..."
    done = pytest_run(tmp_path, program, "-p", "no:asyncio", "-p", "no:anyio")
    assert "install pytest-asyncio" in done.stdout, done.stdout


def test_pytest_finds_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"pytest_dispytch": "pytest_dispytch"}


def test_a_run_that_uses_no_fixture_imports_nothing_and_brokers_are_not_shared(
    tmp_path: Path,
) -> None:
    program = """
    import sys

    def test_nothing_is_imported(pytestconfig):
        assert pytestconfig.pluginmanager.hasplugin("pytest_dispytch")
        assert [name for name in sys.modules if name.partition(".")[0] == "dispytch"] == []

    def test_brokers(memory_backend):
        from dispytch.memory.broker import MemoryBroker
        assert memory_backend._broker not in MemoryBroker._named.values()
    """
    done = pytest_run(tmp_path, program)
    assert "2 passed" in done.stdout, done.stdout
