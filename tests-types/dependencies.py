"""What a user's type checker knows of dependencies; nothing here runs."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, assert_type

from events import Order

from dispytch import Dependency, Event, EventEmitter, HandlerGroup


class Session:
    async def save(self, order: Order) -> int:
        return order.number


def get_name() -> str:
    return "ada"


async def get_session() -> AsyncIterator[Session]:
    yield Session()


def get_lock(name: Annotated[str, Dependency(get_name)]) -> Iterator[str]:
    yield name


class Service:
    def __init__(self, session: Annotated[Session, Dependency(get_session)]) -> None:
        self.session = session


group = HandlerGroup(default_topic="orders")


@group.handler()
async def annotated(
    event: Event[Order],
    session: Annotated[Session, Dependency(get_session)],
    service: Annotated[Service, Dependency(Service, use_cache=False)],
    emitter: EventEmitter,
) -> int:
    assert_type(session, Session)
    assert_type(service.session, Session)
    assert_type(emitter, EventEmitter)
    return await session.save(event.body)


@group.handler()
async def as_default(event: Event[Order], session: Session = Dependency(get_session)) -> int:
    assert_type(session, Session)
    return await session.save(event.body)


async def handlers_can_be_called_by_tests(event: Event[Order], emitter: EventEmitter) -> None:
    session = Session()
    assert_type(await annotated(event, session, Service(session), emitter), int)
    assert_type(await as_default(event), int)
    await as_default(event, "no session")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


Dependency(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Dependency(get_name, cached=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
