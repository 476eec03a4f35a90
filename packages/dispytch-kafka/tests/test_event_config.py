from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from dispytch.exceptions import InvalidEvent
from dispytch.kafka import KafkaEventConfig


@pytest.mark.parametrize(
    "timestamp",
    [
        1_700_000_000_000,
        "1700000000000",
        datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        "2023-11-14T22:13:20+00:00",
        "2023-11-14T22:13:20Z",
    ],
)
def test_a_timestamp_may_be_said_in_several_ways(timestamp: datetime | int | str) -> None:
    assert KafkaEventConfig(timestamp=timestamp).timestamp_ms() == 1_700_000_000_000


def test_without_a_timestamp_it_is_the_time_of_sending() -> None:
    assert KafkaEventConfig().timestamp_ms() is None


def test_templates_are_filled_in_everywhere() -> None:
    config = KafkaEventConfig(
        partition_key="{user}", timestamp="{at}", headers={"tenant": "{user}", "fixed": "x"}
    )
    assert set(config.templates()) == {"{user}", "{at}"}
    filled = config.rendered(lambda text: {"{user}": "ada", "{at}": "5"}[text])
    assert filled.partition_key == "ada"
    assert filled.timestamp_ms() == 5
    assert filled.encoded_headers() == [("tenant", b"ada"), ("fixed", b"x")]


def test_a_filled_in_template_that_is_no_time() -> None:
    config = KafkaEventConfig(timestamp="{at}").rendered(lambda _: "soon")
    with pytest.raises(InvalidEvent, match="'soon'"):
        config.timestamp_ms()


@pytest.mark.parametrize("wrong", [{"timestamp": "soon"}, {"partition": -1}, {"acks": 0}])
def test_a_wrong_configuration_is_refused_when_it_is_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        KafkaEventConfig(**wrong)  # type: ignore[arg-type]
