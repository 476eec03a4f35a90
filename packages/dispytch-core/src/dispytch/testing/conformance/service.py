"""A small service, to be killed by the tests: ``python -m dispytch.testing.conformance.service``.

It handles the kit's events and writes a line about each: ``began``, ``emitted`` or ``handled``, the
key, the number, the attempt. It answers those that are requests with their number. SIGTERM ends it
as it ends every service. Of itself it says ``starting``, ``made`` and ``closed``, of what is
app-scoped, and ``listening``.
"""

import argparse
import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Annotated

from dispytch import Dependency, Event, EventEmitter, EventListener, HandlerGroup, RetryPolicy
from dispytch.testing.conformance.events import EVENT_TYPE, Counted


async def serve(options: argparse.Namespace) -> None:
    """Handle events until a signal comes."""
    handlers = HandlerGroup(default_topic=options.topic, default_event=EVENT_TYPE)

    @handlers.handler()
    async def handle(
        event: Event[Counted],
        emitter: EventEmitter,
        pool: Annotated[None, Dependency(_pool, scope="app")],
    ) -> int:
        _say("began", event)
        if options.onward:
            await emitter.emit(event.body.model_copy(update={"topic": options.onward}))
            _say("emitted", event)
        if event.attempt <= options.failures:
            raise RuntimeError(f"attempt {event.attempt} fails, as it was told to")
        await asyncio.sleep(options.pause)
        _say("handled", event)
        return event.body.number

    listener = EventListener(
        options.url,
        group=options.group,
        concurrency=options.concurrency,
        max_in_flight=options.window,
        drain_timeout=options.drain,
        retry=RetryPolicy(
            attempts=options.failures + 1,
            delay=options.delay,
            factor=1,
            jitter=False,
            delayed=True,
        ),
    )
    listener.add_handler_group(handlers)
    telling = asyncio.create_task(_tell(listener))
    # Once `listen` waits for something: it watches for signals then.
    asyncio.get_running_loop().call_soon(lambda: print("starting", flush=True))
    await listener.listen()
    telling.cancel()


async def _pool() -> AsyncIterator[None]:
    print("made", flush=True)
    yield
    print("closed", flush=True)


async def _tell(listener: EventListener) -> None:
    while not (await listener.health()).intake:  # noqa: ASYNC110 - only the listener knows.
        await asyncio.sleep(0.005)
    print("listening", flush=True)


def arguments() -> argparse.ArgumentParser:
    """What it may be told; times are in seconds."""
    parser = argparse.ArgumentParser(description="A service that handles the kit's events.")
    parser.add_argument("url")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--pause", type=float, default=0.0, help="how long a handler takes")
    parser.add_argument("--concurrency", type=int, default=10)
    parser.add_argument("--window", type=int, default=50, help="how many may be in flight")
    parser.add_argument("--drain", type=float, default=30.0, help="the drain timeout")
    parser.add_argument("--failures", type=int, default=0, help="attempts that fail")
    parser.add_argument("--onward", help="a topic to which it emits each event again")
    parser.add_argument("--delay", type=float, default=1.0, help="between attempts")
    return parser


def _say(what: str, event: Event[Counted]) -> None:
    print(what, event.body.key, event.body.number, event.attempt, flush=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(serve(arguments().parse_args()))
