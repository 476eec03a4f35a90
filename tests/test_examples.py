"""The examples that bring other frameworks along do what they say; in memory."""

import time
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from dispytch import EventEmitter
from examples import with_dishka, with_fastapi


@pytest.fixture
def url() -> str:
    return f"memory://{uuid4().hex}"


async def test_dishka_makes_what_a_handler_asks_for(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await with_dishka.main(url)
    assert capsys.readouterr().out.splitlines() == [
        "rolled back: order 2 from the counter is refused",
        "committed: [1, 3]",
    ]


@pytest.fixture
def app(url: str) -> FastAPI:
    return with_fastapi.create_app(url)


def test_an_order_goes_through_the_web_and_the_broker(app: FastAPI) -> None:
    with TestClient(app) as client:
        placed = client.post("/orders", json={"number": 7, "item": "lamp"})
        assert (placed.status_code, list(placed.json())) == (202, ["event"])
        deadline = time.monotonic() + 10
        while client.get("/orders/7").json() != {"status": "shipped"}:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert client.get("/orders/8").status_code == 404


def test_health_is_that_of_the_listener(app: FastAPI) -> None:
    with TestClient(app) as client:
        assert client.get("/health").json() == {"problems": [], "in_flight": 0}
        assert client.portal is not None
        client.portal.call(client.app_state["listener"].stop)
        ended = client.get("/health")
    assert (ended.status_code, ended.json()["problems"]) == (503, ["the listener is not running"])


def test_a_route_is_tested_with_another_emitter(app: FastAPI) -> None:
    emitted: list[object] = []

    class Fake(EventEmitter):
        async def emit(self, event: object) -> None:  # type: ignore[override]
            emitted.append(event)

    app.dependency_overrides[with_fastapi.get_emitter] = lambda: Fake("memory")
    with TestClient(app) as client:
        client.post("/orders", json={"number": 9, "item": "lamp"})
    order = with_fastapi.Order(number=9, item="lamp")
    assert emitted == [with_fastapi.OrderPlaced(order=order)]
