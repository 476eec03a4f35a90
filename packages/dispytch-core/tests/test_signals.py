"""Ending on signals."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from dispytch.signals import stopping_on_signals

BOTH = (signal.SIGTERM, signal.SIGINT)


class Stopped:
    """Remembers what it was told, and lets a test wait for it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._called = asyncio.Event()

    def stop(self) -> None:
        self.calls.append("stop")
        self._called.set()

    def cut_short(self) -> None:
        self.calls.append("cut short")
        self._called.set()

    async def told(self) -> None:
        async with asyncio.timeout(5):
            await self._called.wait()
        self._called.clear()


@pytest.fixture(autouse=True)
def _former_handlers() -> Iterator[None]:
    former = {number: signal.getsignal(number) for number in BOTH}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("first", BOTH)
@pytest.mark.parametrize("further", BOTH)
async def test_the_first_signal_stops_and_all_others_cut_short(
    first: signal.Signals, further: signal.Signals
) -> None:
    stopped = Stopped()
    with stopping_on_signals(stopped.stop, stopped.cut_short):
        send(first)
        await stopped.told()
        for _ in range(2):
            send(further)
            await stopped.told()
    assert stopped.calls == ["stop", "cut short", "cut short"]


async def test_a_signal_reaches_every_listener_of_the_loop() -> None:
    first, second = Stopped(), Stopped()
    with stopping_on_signals(first.stop, first.cut_short):
        with stopping_on_signals(second.stop, second.cut_short):
            send(signal.SIGTERM)
            await asyncio.gather(first.told(), second.told())
        send(signal.SIGTERM)
        await first.told()
    assert first.calls == ["stop", "cut short"]
    assert second.calls == ["stop"]


async def test_who_came_first_may_leave_first() -> None:
    first, second = Stopped(), Stopped()
    one = stopping_on_signals(first.stop, first.cut_short)
    other = stopping_on_signals(second.stop, second.cut_short)
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    send(signal.SIGINT)
    await second.told()
    other.__exit__(None, None, None)
    assert (first.calls, second.calls) == ([], ["stop"])


async def test_it_can_be_entered_again_and_again() -> None:
    for number in BOTH:
        stopped = Stopped()
        with stopping_on_signals(stopped.stop, stopped.cut_short):
            send(number)
            await stopped.told()
        assert stopped.calls == ["stop"]


async def test_former_handlers_are_back_after_an_error_too() -> None:
    received: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    interrupt = signal.getsignal(signal.SIGINT)
    stopped = Stopped()
    with pytest.raises(LookupError), stopping_on_signals(stopped.stop, stopped.cut_short):
        raise LookupError
    assert signal.getsignal(signal.SIGINT) is interrupt
    send(signal.SIGTERM)
    await asyncio.sleep(0)
    assert (received, stopped.calls) == ([signal.SIGTERM], [])


async def test_without_effect_outside_the_main_thread() -> None:
    before = [signal.getsignal(number) for number in BOTH]

    async def inside() -> list[object]:
        with stopping_on_signals(lambda: None, lambda: None):
            return [signal.getsignal(number) for number in BOTH]

    assert await asyncio.to_thread(lambda: asyncio.run(inside())) == before


PARENT = """
import asyncio, multiprocessing, os, signal, sys, time
from dispytch.signals import stopping_on_signals

told = []

def child(ready):
    os.write(ready, b".")
    time.sleep(30)

async def main():
    with stopping_on_signals(lambda: told.append("stop"), lambda: told.append("cut short")):
        reading, writing = os.pipe()
        context = multiprocessing.get_context("fork")
        process = context.Process(target=child, args=(writing,), daemon=True)
        process.start()
        await asyncio.to_thread(os.read, reading, 1)
        os.kill(process.pid, int(sys.argv[1]))
        await asyncio.to_thread(process.join, 10)
        await asyncio.sleep(0.05)
        assert not told, told
        print(process.exitcode, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        while not told:
            await asyncio.sleep(0.01)

asyncio.run(main())
print(told, multiprocessing.active_children())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_child_that_is_terminated_ends_and_does_not_stop_its_parent() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PARENT, str(int(signal.SIGTERM))],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (0, "-15\n['stop'] []\n"), ended.stderr


FORKED = """
import asyncio, os, signal
from dispytch.signals import stopping_on_signals

async def listen():
    told = asyncio.Event()
    with stopping_on_signals(told.set, told.set):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(told.wait(), 10)

async def main():
    with stopping_on_signals(print, print):
        pid = os.fork()
        if pid == 0:
            asyncio._set_running_loop(None)
            asyncio.run(listen())
            os._exit(7)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status))

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_child_may_listen_to_signals_of_its_own() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (0, "7\n"), ended.stderr
