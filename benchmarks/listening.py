"""The dispytch side of what is measured: a listener with one handler."""

from dispytch import Event, EventListener, HandlerGroup

from .orders import Order
from .stopwatch import Stopwatch


async def listened(url: str, topic: str, group: str, events: int) -> float:
    """Seconds that a listener with default settings takes for the events of a topic."""
    stopwatch = Stopwatch(events)
    handlers = HandlerGroup()

    @handlers.handler(topic=topic, event="order_placed")
    async def handle(event: Event[Order]) -> None:
        await stopwatch.handle(event.body)

    listener = EventListener(url, group=group)
    listener.add_handler_group(handlers)
    async with listener:
        return await stopwatch.seconds()
