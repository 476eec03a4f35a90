"""The client of a registry, as far as it goes without one."""

import sys
from typing import Any

import pytest

from dispytch.exceptions import ConfigurationError, RegistryUnavailable
from dispytch.serialization import ConfluentRegistry, Schema

SCHEMA = Schema("AVRO", '"long"', "long")


@pytest.mark.parametrize(
    ("url", "options", "text"),
    [
        ("localhost:8081", {}, "Invalid url localhost:8081"),
        (7, {}, "url must be a str"),
        ("http://localhost", {"basic.auth": "x"}, "Unrecognized properties: basic.auth"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_made(
    url: Any, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        ConfluentRegistry(url, options=options)


async def test_a_registry_that_is_not_there_is_unavailable_and_no_password_is_told() -> None:
    registry = ConfluentRegistry("http://me:secret@127.0.0.1:9", options={"max.retries": 0})
    for question in (
        lambda: registry.register("orders-value", SCHEMA),
        lambda: registry.look_up("orders-value", SCHEMA),
        lambda: registry.text(1),
    ):
        with pytest.raises(RegistryUnavailable) as caught:
            await question()
        assert "the schema registry at http://127.0.0.1:9 cannot be asked: ConnectError" in str(
            caught.value
        )
        assert "secret" not in str(caught.value)


def test_a_missing_distribution_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka.schema_registry", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'dispytch-core\[registry\]'"):
        ConfluentRegistry("http://localhost:8081")
