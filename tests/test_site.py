"""The site has every page, and every page says what there is."""

import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from dispytch import (
    Batch,
    CircuitBreaker,
    CloudEvents,
    DeadLetters,
    DeadLetterTopic,
    Dependency,
    EventEmitter,
    EventListener,
    HandlerGroup,
    Header,
    Idempotent,
    MemoryStore,
    RetryPolicy,
    TopicSegment,
    upcast,
)
from dispytch.kafka import KafkaConfig, KafkaEventConfig
from dispytch.memory.config import MemoryConfig
from dispytch.middleware import ConcurrencyLimit, Log, RateLimit
from dispytch.rabbitmq import RabbitMQConfig, RabbitMQEventConfig
from dispytch.serialization import AvroCodec, ProtobufCodec, RegistryCodec
from dispytch.testing import Probe

from .pages import ROOT, Page, pages

NAVIGATION = re.findall(r"[\w./-]+\.md$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
REFERENCE = {
    page.removeprefix("reference/").removesuffix(".md")
    for page in NAVIGATION
    if page.startswith("reference/")
}


def test_every_page_is_in_the_navigation_once() -> None:
    written = [str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")]
    made = ["index.md", *(f"reference/{module}.md" for module in REFERENCE)]
    missing = sorted({*written, *made} - {*NAVIGATION})
    assert not missing, f"add to nav: in mkdocs.yml: {missing}"
    assert sorted(NAVIGATION) == sorted([*written, *made])


def test_every_module_that_a_page_imports_from_is_in_the_reference() -> None:
    code = "\n".join(block.code for page in pages() for block in page.programs())
    imported = set(re.findall(r"^\s*from (dispytch[\w.]*) import", code, re.MULTILINE))
    assert sorted(imported - REFERENCE) == []


@pytest.mark.parametrize("module", sorted(REFERENCE))
def test_a_module_in_the_reference_says_what_it_is(module: str) -> None:
    assert inspect.getdoc(importlib.import_module(module))


def fields(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields)


def parameters(function: Callable[..., Any]) -> set[str]:
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = inspect.signature(function).parameters.values()
    return {one.name for one in found if one.kind not in kinds} - {"self"}


def options(function: Callable[..., Any]) -> set[str]:
    found = inspect.signature(function).parameters.values()
    return {one.name for one in found if one.default is not inspect.Parameter.empty}


def members(kind: type[object]) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("backends/kafka.md", fields(KafkaConfig)),
        ("backends/kafka.md", fields(KafkaEventConfig)),
        ("backends/rabbitmq.md", fields(RabbitMQConfig)),
        ("backends/rabbitmq.md", fields(RabbitMQEventConfig)),
        ("backends/memory.md", fields(MemoryConfig)),
        ("guides/handlers.md", parameters(EventListener)),
        ("guides/handlers.md", parameters(HandlerGroup)),
        ("guides/handlers.md", parameters(HandlerGroup().handler)),
        ("guides/emitting.md", parameters(EventEmitter)),
        ("guides/retries.md", parameters(RetryPolicy)),
    ],
)
def test_every_option_is_named(page: str, names: set[str]) -> None:
    prose = "\n".join(Page(ROOT / "docs" / page).prose())
    named = set(re.findall(r"`(\w+)[^`]*`", prose))
    assert sorted(names - named) == []


@pytest.mark.parametrize(
    ("page", "what"),
    [
        ("guides/emitting.md", EventEmitter.emit),
        ("guides/request-reply.md", EventEmitter.request),
        ("guides/batches.md", Batch),
        ("guides/dependencies.md", Dependency),
        ("guides/dependencies.md", Header),
        ("guides/topics.md", TopicSegment),
        ("guides/dead-letters.md", DeadLetterTopic),
        ("guides/dead-letters.md", DeadLetters),
        ("guides/dead-letters.md", DeadLetters.read),
        ("guides/dead-letters.md", DeadLetters.replay),
        ("guides/idempotency.md", Idempotent),
        ("guides/idempotency.md", MemoryStore),
        ("guides/middleware.md", RateLimit),
        ("guides/middleware.md", ConcurrencyLimit),
        ("guides/middleware.md", Log),
        ("guides/operations.md", CircuitBreaker),
        ("guides/wire-format.md", CloudEvents),
        ("guides/formats.md", AvroCodec),
        ("guides/formats.md", ProtobufCodec),
        ("guides/formats.md", RegistryCodec),
        ("guides/versions.md", upcast),
        ("guides/testing.md", EventListener.test),
        ("guides/testing.md", Probe),
    ],
)
def test_everything_one_may_say_is_shown(page: str, what: Callable[..., Any]) -> None:
    names = members(what) if what is Probe else options(what)
    shown = set(re.findall(r"\w+", (ROOT / "docs" / page).read_text()))
    assert sorted(names - shown) == []


@pytest.mark.parametrize(
    ("page", "config"),
    [
        ("backends/kafka.md", KafkaConfig),
        ("backends/rabbitmq.md", RabbitMQConfig),
        ("backends/memory.md", MemoryConfig),
    ],
)
def test_no_option_is_named_that_is_not_there(page: str, config: type[BaseModel]) -> None:
    prose = "\n".join(Page(ROOT / "docs" / page).prose())
    (section,) = re.findall(
        r"^## (?:.* )?options$(.*?)^## ", prose, re.MULTILINE | re.DOTALL | re.IGNORECASE
    )
    cells = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert named
    assert sorted(named - fields(config)) == []
