"""The examples with FastAPI and dishka, on every backend."""

import time

import pytest
from fastapi.testclient import TestClient

from examples import with_dishka, with_fastapi

PATIENCE = 30.0


def test_an_order_goes_through_the_web_and_the_broker(broker_url: str, unique: str) -> None:
    number = int(unique, 16)
    with TestClient(with_fastapi.create_app(broker_url)) as client:
        placed = client.post("/orders", json={"number": number, "item": "lamp"})
        assert (placed.status_code, list(placed.json())) == (202, ["event"])
        deadline = time.monotonic() + PATIENCE
        while client.get(f"/orders/{number}").json() != {"status": "shipped"}:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert client.get("/health").json()["problems"] == []


async def test_dishka_makes_what_a_handler_asks_for(
    broker_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await with_dishka.main(broker_url)
    assert capsys.readouterr().out.splitlines() == [
        "rolled back: order 2 from the counter is refused",
        "committed: [1, 3]",
    ]
