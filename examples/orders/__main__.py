"""Run the service on a backend: ``python -m examples.orders kafka://localhost:9092``."""

import asyncio
import sys

from dispytch import DeadLetters, EventEmitter, EventListener
from dispytch.exceptions import DispytchError

from .events import GROUP, TOPIC, OrderPlaced
from .handlers import orders
from .report import Figures, show, show_error, show_letters, show_log
from .services import get_payments

PLACED = [
    OrderPlaced(number=1, customer="Ada", item="lamp", price=39.00),
    OrderPlaced(number=2, customer="Grace", item="clock", price=24.50),
    OrderPlaced(number=3, customer="Mallory", item="yacht", price=1_000_000),
    OrderPlaced(number=4, customer="Linus", item="kettle", price=31.90),
    OrderPlaced(number=5, customer="Grace", item="mug", price=9.80),
    OrderPlaced(number=6, customer="Ada", item="chair", price=120.00),
]
# Five of the six orders are paid, and each of these is shipped. Both of Grace's payments succeed
# at the second attempt; Mallory's fails, and is kept as a dead letter.
EXPECTED = Figures(emitted=11, handled=10, retried=2, dead_lettered=1)


async def serve(backend: str) -> Figures:
    """Place the orders, handle them until all is done, and count."""
    listener = shop(backend)
    async with listener, EventEmitter(backend) as emitter:
        await emitter.emit_many(PLACED)
        await all_done(listener)
    letters = await DeadLetters(backend, topic=TOPIC, group=GROUP).read()
    show_letters(letters)
    outcomes = listener.outcomes
    return Figures(
        emitted=len(PLACED) + len(get_payments().receipts),
        handled=outcomes.handled,
        retried=outcomes.retried,
        dead_lettered=len(letters),
    )


def shop(backend: str) -> EventListener:
    """The service, on a backend."""
    listener = EventListener(backend, group=GROUP)
    listener.add_handler_group(orders)
    return listener


async def all_done(listener: EventListener) -> None:
    """Wait until every event is handled or a dead letter, for half a minute at most."""
    for _ in range(600):
        if listener.outcomes.handled + listener.outcomes.dead_lettered >= EXPECTED.emitted:
            return
        await asyncio.sleep(0.05)


def main() -> int:
    """Run, show the figures, and say by the exit code whether they are as expected."""
    show_log()
    backend = sys.argv[1] if len(sys.argv) > 1 else "memory://demo"
    try:
        figures = asyncio.run(serve(backend))
    except DispytchError as error:
        show_error(error)
        return 1
    show(figures, EXPECTED)
    return 0 if figures == EXPECTED else 1


if __name__ == "__main__":
    sys.exit(main())
