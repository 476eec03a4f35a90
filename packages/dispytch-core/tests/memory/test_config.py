"""The configuration of the in-memory backend, by URL and by keyword."""

import pytest

from dispytch.exceptions import ConfigurationError
from dispytch.memory import MemoryBackend, MemoryConfig


def test_url_and_keywords_say_the_same() -> None:
    url = "memory://orders?partitions=8&retention=50&send_timeout=0.5&declare=check"
    assert MemoryBackend.from_url(url).config == MemoryConfig(
        name="orders", partitions=8, retention=50, send_timeout=0.5, declare="check"
    )
    keywords = MemoryBackend(
        "orders", partitions=8, retention=50, send_timeout=0.5, declare="check"
    )
    assert keywords.config == MemoryBackend.from_url(url).config


@pytest.mark.parametrize("url", ["memory://", "memory:///", "memory://default"])
def test_a_url_without_a_name_means_the_default(url: str) -> None:
    assert MemoryBackend.from_url(url).config == MemoryBackend().config


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("memory://x?partitions=0", "partitions"),
        ("memory://x?partitions=many", "partitions"),
        ("memory://x?retention=-1", "retention"),
        ("memory://x?send_timeout=inf", "send_timeout"),
        ("memory://x?declare=maybe", "declare"),
        ("memory://x?partition=4", "partition"),
        ("memory://x?partitions=4&partitions=5", "partitions"),
        ("memory://x?name=y", "name"),
        ("memory://x?partitions", "partitions"),
        ("memory://x?partitions=", "partitions"),
        ("memory://user@x", "more than a name"),
        ("memory://x/path", "more than a name"),
        ("memory://x#part", "more than a name"),
        ("memory://[x", "no URL"),
        ("kafka://x", "kafka"),
    ],
)
def test_a_wrong_url_names_its_fault(url: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named.replace("?", "")):
        MemoryBackend.from_url(url)


def test_a_wrong_keyword_names_its_fault_and_the_options() -> None:
    with pytest.raises(ConfigurationError, match=r"partitions=0.*its options are name, partitions"):
        MemoryBackend("x", partitions=0)
    with pytest.raises(ConfigurationError, match="name"):
        MemoryBackend("")
