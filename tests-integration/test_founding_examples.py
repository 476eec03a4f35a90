"""The two founding examples, as they stand, on every backend."""

import asyncio
from typing import Annotated

from pydantic import BaseModel

from dispytch import Dependency, Event, EventBase, EventEmitter, EventListener, HandlerGroup


class User(BaseModel):
    id: str
    email: str


class UserService:
    """Remembers who registered."""

    def __init__(self) -> None:
        self.registered: list[tuple[str, User, int]] = []
        self.news = asyncio.Event()

    def add(self, event_id: str, user: User, timestamp: int) -> None:
        self.registered.append((event_id, user, timestamp))
        self.news.set()


services: list[UserService] = []


def get_user_service() -> UserService:
    return services[-1]


# fmt: off
class UserRegistered(EventBase):
    __topic__ = "user_events"
    __event_type__ = "user_registered"

    user: User
    timestamp: int


class UserCreatedEvent(BaseModel):
    user: User
    timestamp: int


user_events = HandlerGroup()


@user_events.handler(topic='user_events', event='user_registered')
async def handle_user_registered(
        event: Event[UserCreatedEvent],
        user_service: Annotated[UserService, Dependency(get_user_service)]
):
    user = event.body.user
    user_service.add(event.id, user, event.body.timestamp)
# fmt: on


async def test_the_founding_examples_run(broker_url: str, unique: str) -> None:
    services.append(service := UserService())
    ada = User(id=unique, email="ada@example.org")
    listener = EventListener(broker_url, group=f"billing-{unique}")
    listener.add_handler_group(user_events)
    registered = UserRegistered(user=ada, timestamp=1763900000)
    async with listener, EventEmitter(broker_url) as emitter:
        await emitter.emit(registered)
        async with asyncio.timeout(30):
            while not any(user == ada for _, user, _ in service.registered):
                service.news.clear()
                await service.news.wait()
    mine = [entry for entry in service.registered if entry[1] == ada]
    assert mine == [(registered.__event_id__, ada, 1763900000)]
