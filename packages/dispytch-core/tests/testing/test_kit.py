"""The conformance kit is whole, and its tools do what they say."""

import ast
import asyncio
import inspect
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from dispytch.exceptions import ConfigurationError, SendError
from dispytch.memory import MemoryBackend
from dispytch.messages import Delivery, Message
from dispytch.testing import conformance
from dispytch.testing.conformance import Conformance, Setting
from dispytch.testing.conformance.process import ServiceProcess
from dispytch.testing.conformance.service import arguments
from dispytch.testing.conformance.tap import Tap, tapped
from dispytch.testing.transport.reader import eventually, nothing, reading
from dispytch.transport import Subscription


def test_every_promise_is_part_of_the_whole() -> None:
    assert conformance.__all__ == sorted(conformance.__all__)
    classes = [getattr(conformance, name) for name in conformance.__all__]
    promises = [one for one in classes if inspect.isclass(one) and issubclass(one, Setting)]
    assert all(issubclass(Conformance, one) for one in promises)


def test_no_test_hides_another_of_its_name() -> None:
    names = Counter(
        name for one in Conformance.__mro__ for name in vars(one) if name.startswith("test_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_every_test_says_what_it_is_about() -> None:
    tests = inspect.getmembers(Conformance, inspect.iscoroutinefunction)
    assert [name for name, test in tests if name.startswith("test_") and not test.__doc__] == []


@pytest.fixture
def tap() -> Tap:
    return tapped(MemoryBackend(uuid4().hex))


async def test_a_tap_refuses_what_it_is_told_to(tap: Tap) -> None:
    tap.refuses = lambda message: message.value == b"bad"
    good, bad = Message("orders", b"good"), Message("orders", b"bad")
    async with tap.producer() as producer:
        await producer.send([good])
        with pytest.raises(SendError) as caught:
            await producer.send([bad])
    assert list(caught.value.failures) == [0]
    assert tap.refused == 1
    assert tap.sent == [good]


async def test_a_tap_counts_what_is_in_flight(tap: Tap) -> None:
    async with tap.producer() as producer:
        await producer.send([Message("orders", b"%d" % number) for number in range(10)])
    subscription = Subscription(group="g", topics=("orders",), max_in_flight=100)
    async with reading(tap, subscription, acks=nothing) as reader:
        await eventually(lambda: len(tap.unsettled) == 10, "ten deliveries", 5)
        kept: list[Delivery] = reader.unsettled
        for delivery in kept[:4]:
            reader.ack(delivery)
        assert len(tap.unsettled) == 6
    assert tap.peak == 10
    assert tap.unsettled == [], "their leases have ended"


def test_a_tap_can_hide_the_delays_of_a_broker() -> None:
    backend = MemoryBackend(uuid4().hex)
    assert tapped(backend).features == backend.features
    assert not tapped(backend, delay=False).features.delay
    assert tapped(backend, delay=False).features.history
    with pytest.raises(ConfigurationError, match="around a backend"):
        Tap.from_url("tap://")


@asynccontextmanager
async def talking(code: str) -> AsyncGenerator[ServiceProcess, None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-c", code, stdout=asyncio.subprocess.PIPE
    )
    service = ServiceProcess(process)
    try:
        yield service
    finally:
        await service.kill()
    assert service.ended


TALK = "print('began a 1 2'); print('handled a 1 2'); print('noise'); print('began b 2 1', end='')"


async def test_what_a_service_says_is_heard() -> None:
    async with talking(f"{TALK}; import time; time.sleep(60)") as service:
        await eventually(lambda: bool(service.handled), "its words", 10)
        await service.kill()
        assert service.began == [("a", 1)], "half a line may be cut anywhere"
        assert service.handled == [("a", 1)]
        assert service.attempts == [("a", 1, 2)]


async def test_the_status_of_a_service_that_is_terminated_is_told() -> None:
    async with talking("print('began a 1 1'); import time; time.sleep(60)") as service:
        await eventually(lambda: bool(service.began), "its words", 10)
        assert await service.terminate() == -signal.SIGTERM


def test_the_service_s_options_are_those_that_the_tests_use() -> None:
    told = arguments().parse_args(["memory://x", "--topic=orders", "--group=billing"])
    assert (told.url, told.failures, told.window) == ("memory://x", 0, 50)


PUBLIC = ("backends", "event_config", "exceptions", "messages", "printable", "testing", "transport")


def test_the_kit_needs_nothing_but_the_public_contract_and_pytest() -> None:
    allowed = {"dispytch", "pytest", *(f"dispytch.{name}" for name in PUBLIC)}
    for file in Path(conformance.__file__).parent.glob("*.py"):
        ours = {".".join(name.split(".")[:2]) for name in _imported(file)}
        foreign = {name for name in ours if name.split(".")[0] not in sys.stdlib_module_names}
        assert foreign <= allowed, file.name


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
