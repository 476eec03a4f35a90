"""Events of three versions on one topic, on every backend."""

import asyncio
from typing import Any

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup, upcast


@upcast(event="registered", from_version=1)
def split_name(data: dict[str, Any]) -> dict[str, Any]:
    first, last = data.pop("name").split(" ")
    return data | {"first": first, "last": last}


@upcast(event="registered", from_version=2)
def add_locale(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"locale": "en"}


async def test_a_topic_that_holds_three_versions(broker_url: str, unique: str) -> None:
    topic = f"users.{unique}"
    users = HandlerGroup(topic, "registered", upcasts=[split_name, add_locale])

    class First(EventBase):
        __topic__ = topic
        __event_type__ = "registered"

        id: int
        name: str

    class Second(EventBase):
        __topic__ = topic
        __event_type__ = "registered"
        __version__ = 2

        id: int
        first: str
        last: str

    class Third(Second):
        __version__ = 3

        locale: str

    seen: dict[int, tuple[int, Third]] = {}

    @users.handler()
    async def handle(event: Event[Third]) -> None:
        seen[event.body.id] = event.version, event.body

    listener = EventListener(broker_url, group=f"mail.{unique}")
    listener.add_handler_group(users)
    async with listener, EventEmitter(broker_url) as emitter:
        await emitter.emit_many(
            [
                First(id=1, name="Ada Lovelace"),
                Second(id=2, first="Alan", last="Turing"),
                Third(id=3, first="Grace", last="Hopper", locale="us"),
            ]
        )
        async with asyncio.timeout(30):
            while listener.outcomes.handled < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert seen == {
        1: (1, Third(id=1, first="Ada", last="Lovelace", locale="en")),
        2: (2, Third(id=2, first="Alan", last="Turing", locale="en")),
        3: (3, Third(id=3, first="Grace", last="Hopper", locale="us")),
    }
    assert listener.outcomes.dead_lettered == 0
