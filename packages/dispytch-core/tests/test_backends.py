"""The registry of backends, with distributions that exist for the length of a test."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Self

import pytest

from dispytch import backends
from dispytch.backends import backend_class, backend_from, installed, register
from dispytch.exceptions import BackendNotFound, BackendUnusable, ConfigurationError
from dispytch.transport import (
    CONTRACT_VERSION,
    Backend,
    Consumer,
    Features,
    OnRevoke,
    Producer,
    Subscription,
    Topology,
)

Install = Callable[..., None]

SOURCE = """
from {me} import FakeBackend

class {name}(FakeBackend):
    contract = {contract}
"""


class FakeBackend(Backend):
    """Knows its URL, and nothing else."""

    features = Features(durable=False, history=False, shared_order=False)

    def __init__(self, url: str = "fake://") -> None:
        self.url = url

    @classmethod
    def from_url(cls, url: str) -> Self:
        return cls(url)

    async def ping(self) -> None: ...

    async def prepare(self, topology: Topology) -> None: ...

    def producer(self) -> AbstractAsyncContextManager[Producer]:
        raise NotImplementedError

    def consumer(
        self, subscription: Subscription, on_revoke: OnRevoke
    ) -> AbstractAsyncContextManager[Consumer]:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_registered", {})


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution ``acme-<name>`` whose module holds ``source``."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "acme_fakes", sys.modules[__name__])

    def installing(name: str, source: str | None = None, *, contract: int = 1) -> None:
        module = f"acme_{name}_backend"
        written = source or SOURCE.format(me="acme_fakes", name="Acme", contract=contract)
        (tmp_path / f"{module}.py").write_text(written)
        info = tmp_path / f"acme_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme-{name}\nVersion: 1.0\n")
        entry = f"[dispytch.backends]\n{name} = {module}:Acme\n"
        (info / "entry_points.txt").write_text(entry)

    yield installing
    for module in [one for one in sys.modules if one.startswith("acme_")]:
        del sys.modules[module]


def message_of(error: type[Exception], ask: Callable[[], Any]) -> str:
    with pytest.raises(error) as caught:
        ask()
    return str(caught.value)


def test_an_installed_backend_is_found_by_url_and_by_name(install: Install) -> None:
    install("acmeq")
    by_url = backend_from("acmeq://user:pass@host:1/path?option=1")
    assert isinstance(by_url, FakeBackend)
    assert by_url.url == "acmeq://user:pass@host:1/path?option=1"
    by_name = backend_from("acmeq")
    assert isinstance(by_name, FakeBackend)
    assert by_name.url == "acmeq://"
    assert type(by_name) is type(by_url) is backend_class("acmeq")


def test_a_scheme_may_be_in_capitals(install: Install) -> None:
    install("acmeq")
    assert type(backend_from("AcmeQ://host")) is backend_class("acmeq")


def test_asking_for_one_imports_no_other(install: Install) -> None:
    install("one")
    install("other", "raise RuntimeError('imported')")
    assert {"one", "other"} <= set(installed())
    assert "acme_one_backend" not in sys.modules
    backend_class("one")
    assert "acme_one_backend" in sys.modules
    assert "acme_other_backend" not in sys.modules


def test_an_object_is_taken_as_it_is() -> None:
    backend = FakeBackend()
    assert backend_from(backend) is backend


def test_an_object_of_another_contract_is_refused() -> None:
    class Newer(FakeBackend):
        contract = CONTRACT_VERSION + 1

    text = message_of(BackendUnusable, lambda: backend_from(Newer()))
    assert "Newer" in text
    assert text.endswith("upgrade dispytch-core")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("kafka", "pip install 'dispytch-core[kafka]'"),
        ("rabbitmq", "pip install 'dispytch-core[rabbitmq]'"),
        ("amqps", "pip install 'dispytch-core[rabbitmq]'"),
        ("nats", "install the distribution that provides it (ours: dispytch-core[kafka], "),
    ],
)
def test_a_backend_that_is_not_installed(
    install: Install, monkeypatch: pytest.MonkeyPatch, name: str, remedy: str
) -> None:
    install("acmeq")
    register("registered", FakeBackend)
    others = [one for one in entry_points(group=backends.GROUP) if one.name != name]
    monkeypatch.setattr(
        backends,
        "entry_points",
        lambda group, name=None: [one for one in others if name in (None, one.name)],
    )
    text = message_of(BackendNotFound, lambda: backend_from(f"{name}://localhost"))
    assert text.startswith(f"no backend {name!r} is installed; there are: ")
    there_are = text.split("there are: ")[1].split(";")[0].split(", ")
    assert there_are == installed()
    assert {"acmeq", "registered"} <= set(there_are)
    assert remedy in text


def test_nothing_at_all_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "entry_points", lambda **_: ())
    text = message_of(BackendNotFound, lambda: backend_from("kafka://x"))
    assert text == (
        "no backend 'kafka' is installed; there are: none; pip install 'dispytch-core[kafka]'"
    )


def test_a_backend_whose_import_fails(install: Install) -> None:
    install("acmeq", "import a_driver_that_is_missing")
    with pytest.raises(BackendUnusable) as caught:
        backend_from("acmeq://host")
    assert str(caught.value) == (
        "the backend 'acmeq' of acme-acmeq cannot be imported from acme_acmeq_backend:Acme: "
        "ModuleNotFoundError: No module named 'a_driver_that_is_missing'; "
        "install it again, with its driver"
    )
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_backend_whose_entry_point_names_nothing(install: Install) -> None:
    install("acmeq", "Other = 1")
    text = message_of(BackendUnusable, lambda: backend_class("acmeq"))
    assert "AttributeError" in text
    assert "acme-acmeq" in text


@pytest.mark.parametrize(
    ("contract", "upgrade"), [(0, "upgrade the backend"), (99, "upgrade dispytch-core")]
)
def test_a_backend_of_another_contract(install: Install, contract: int, upgrade: str) -> None:
    install("acmeq", contract=contract)
    for _ in range(2):  # a refused backend is not remembered as a good one
        text = message_of(BackendUnusable, lambda: backend_class("acmeq"))
        assert text == (
            f"the backend 'acmeq' (acme_acmeq_backend) speaks contract version {contract}, "
            f"this dispytch-core speaks {CONTRACT_VERSION}; {upgrade}"
        )


@pytest.mark.parametrize("source", ["class Acme: ...", "Acme = 5", "def Acme(): ..."])
def test_what_is_no_backend(install: Install, source: str) -> None:
    install("acmeq", source)
    text = message_of(BackendUnusable, lambda: backend_class("acmeq"))
    assert text.startswith("the backend 'acmeq' is no dispytch.transport.Backend: ")


def test_a_registered_backend_comes_before_an_installed_one(install: Install) -> None:
    install("acmeq", "raise RuntimeError('imported')")
    register("acmeq", FakeBackend)
    assert backend_class("acmeq") is FakeBackend
    assert "acmeq" in installed()


def test_only_backends_can_be_registered() -> None:
    not_one: Any = dict
    text = message_of(BackendUnusable, lambda: register("acmeq", not_one))
    assert text.startswith("the backend 'acmeq' is no dispytch.transport.Backend: ")


@pytest.mark.parametrize("given", [None, "", 5, FakeBackend])
def test_neither_url_nor_backend(given: Any) -> None:
    assert message_of(ConfigurationError, lambda: backend_from(given)) == (
        f"a backend is a URL such as 'kafka://localhost:9092', or a Backend object, not {given!r}"
    )


@pytest.mark.parametrize(
    "url", ["localhost:9092", "://localhost", "guest:secret@localhost:5672/", "9092", "kafka:/x"]
)
def test_a_url_without_a_scheme(url: str) -> None:
    register("acmeq", FakeBackend)
    text = message_of(ConfigurationError, lambda: backend_from(url))
    assert text.startswith(
        "a backend's URL starts with its name and '://', as in 'kafka://localhost:9092'; there are:"
    )
    assert "acmeq" in text
    assert "secret" not in text
