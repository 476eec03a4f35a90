"""Emitters and listeners that are there before their broker, which refuses, hangs, and comes."""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from brokers.broker import BrokerUnavailable
from brokers.local_kafka import LocalKafka
from brokers.local_rabbitmq import LocalRabbitMQ

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup
from dispytch.exceptions import BrokerUnreachable

PATIENCE = 60.0


class Ordered(EventBase):
    __topic__ = "orders"
    __event_type__ = "ordered"

    number: int


@pytest.fixture(params=[LocalKafka, LocalRabbitMQ], ids=["kafka", "rabbitmq"])
def late(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A broker that was not started yet."""
    try:
        broker = request.param()
    except BrokerUnavailable as missing:
        pytest.skip(str(missing))
    yield broker
    broker.stop()


@contextmanager
def hanging(url: str, hangs: bool) -> Iterator[None]:
    """While this lasts, somebody takes connections there and says nothing."""
    if not hangs:
        yield
        return
    with socket.create_server(("127.0.0.1", urlsplit(url).port or 0), backlog=50):
        yield


def listening(url: str) -> tuple[EventListener, list[int]]:
    handled: list[int] = []
    group = HandlerGroup("orders", "ordered")

    @group.handler()
    async def handle(event: Event[Ordered]) -> None:
        handled.append(event.body.number)

    listener = EventListener(url, group="shop", connect="wait")
    listener.add_handler_group(group)
    return listener, handled


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def emitted(emitter: EventEmitter) -> bool:
    try:
        await emitter.emit(Ordered(number=1))
    except BrokerUnreachable:
        return False
    return True


@pytest.mark.timeout(240)
@pytest.mark.parametrize("hangs", [False, True], ids=["refuses", "hangs"])
async def test_they_connect_when_the_broker_comes(
    late: Any, hangs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"{late.url}?send_timeout=1&connect_timeout=2"
    listener, handled = listening(url)
    cpu = time.process_time()
    with hanging(late.url, hangs):
        async with EventEmitter(url, connect="wait") as emitter, listener:
            for _ in range(3):
                with pytest.raises(BrokerUnreachable, match="not sent within 1 s"):
                    await emitter.emit(Ordered(number=0))
            health = await listener.health()
            assert not health.healthy
            assert not health.connected
            assert any("could not be reached so far" in one for one in health.problems), health
            assert time.process_time() - cpu < 2
    lines = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert len(lines) <= 6, [one.getMessage() for one in lines]
    async with EventEmitter(url, connect="wait") as emitter, listener:
        await asyncio.to_thread(late.start)
        async with asyncio.timeout(PATIENCE):
            while not (await listener.health()).healthy:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)
            # Each connects by itself: the one may be there while the other still pauses.
            while not await emitted(emitter):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)
        await until(lambda: handled == [1])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("hangs", [False, True], ids=["refuses", "hangs"])
async def test_a_stop_while_they_wait_ends_at_once(late: Any, hangs: bool) -> None:
    listener, _ = listening(late.url)
    with hanging(late.url, hangs):
        emitter = EventEmitter(late.url, connect="wait")
        await emitter.__aenter__()
        await listener.__aenter__()
        began = time.monotonic()
        await listener.stop()
        await listener.__aexit__(None, None, None)
        await emitter.__aexit__(None, None, None)
        assert time.monotonic() - began < 2


PROGRAM = """
import asyncio, sys
from test_late_brokers import listening
listener, _ = listening(sys.argv[1])
async def main():
    asyncio.get_running_loop().call_later(1.5, print, "waiting")
    asyncio.get_running_loop().call_later(1.6, sys.stdout.flush)
    await listener.listen()
    print("ended", flush=True)
asyncio.run(main())
"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("hangs", [False, True], ids=["refuses", "hangs"])
async def test_sigterm_while_it_waits_is_a_clean_end(late: Any, hangs: bool) -> None:
    folder = os.path.dirname(__file__)
    with hanging(late.url, hangs):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, late.url),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": folder},
        )
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            assert await process.stdout.readline() == b"waiting\n"
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert await process.stdout.readline() == b"ended\n"
            assert time.monotonic() - began < 2
            assert await process.wait() == 0
