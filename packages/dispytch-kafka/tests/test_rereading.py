"""Reading a record again by a place that anybody may have written."""

import pytest

from dispytch.kafka import KafkaBackend


@pytest.mark.parametrize(
    "stream", ["", "orders", "[", "orders[]", "orders[-1]", "orders[\u0663]", f"o[{'9' * 5000}]"]
)
async def test_nothing_lies_where_no_partition_can_be(stream: str) -> None:
    backend = KafkaBackend("127.0.0.1:1")
    assert await backend.reread(stream, 1) is None
