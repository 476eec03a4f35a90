"""What every backend's event configuration can do."""

from typing import Any

import pytest
from pydantic import Field, ValidationError

from dispytch.event_config import EventConfig


class BrokerConfig(EventConfig):
    partition: int | None = None
    routing: str | None = None
    headers: dict[str, Any] = Field(default_factory=dict)


CONFIG = BrokerConfig(routing="a.{x}", headers={"plain": "text", "filled": "{y}", "number": 5})


def test_templates_are_found_in_texts_and_in_dictionaries() -> None:
    assert sorted(CONFIG.templates()) == ["a.{x}", "{y}"]
    assert list(BrokerConfig(partition=1, routing="plain").templates()) == []


def test_rendered_fills_templates_and_nothing_else() -> None:
    filled = CONFIG.rendered(lambda text: f"<{text}>")
    assert filled == BrokerConfig(
        routing="<a.{x}>", headers={"plain": "text", "filled": "<{y}>", "number": 5}
    )
    assert CONFIG.routing == "a.{x}", "the original is as it was"


def test_it_is_frozen_and_refuses_unknown_options() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        CONFIG.partition = 3
    with pytest.raises(ValidationError, match=r"partitoin\s+Extra inputs are not permitted"):
        BrokerConfig.model_validate({"partitoin": 3})
