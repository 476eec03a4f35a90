import pytest

from dispytch.exceptions import TransportError
from dispytch.kafka import KafkaEventConfig
from dispytch.kafka.routes import Route
from dispytch.messages import Message


def _message(key: bytes | None = None, **config: object) -> Message:
    chosen = KafkaEventConfig(**config) if config else None  # type: ignore[arg-type]
    return Message("t", b"", key, config=chosen)


@pytest.mark.parametrize(
    ("key", "hashed"),
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)],
)
def test_keys_go_where_kafkas_own_clients_send_them(key: bytes, hashed: int) -> None:
    """The hashes are those of Kafka's own UtilsTest."""
    partitions = 1000
    assert Route("t", range(partitions)).partition(_message(key)) == (
        (hashed & 0x7FFFFFFF) % partitions
    )


def test_messages_without_a_key_go_round() -> None:
    route = Route("t", {0, 1, 2})
    assert sorted(route.partition(_message()) for _ in range(6)) == [0, 0, 1, 1, 2, 2]


def test_a_partition_key_decides_in_place_of_the_key() -> None:
    route = Route("t", range(100))
    assert route.partition(_message(b"a", partition_key="b")) == route.partition(_message(b"b"))
    assert route.partition(_message(partition_key="b")) == route.partition(_message(b"b"))


def test_a_partition_decides_over_all_and_must_exist() -> None:
    route = Route("t", range(4))
    assert route.partition(_message(b"a", partition=3, partition_key="b")) == 3
    with pytest.raises(TransportError, match="'t' has no partition 4"):
        route.partition(_message(partition=4))


def test_a_topic_that_has_grown_does_not_fit() -> None:
    assert Route("t", {0, 1}).fits({0, 1})
    assert not Route("t", {0, 1}).fits({0, 1, 2})
