"""What a user's type checker knows of what handlers ask for beside dependencies; nothing runs."""

from typing import Annotated, Any, Literal, assert_type
from uuid import UUID

from events import Order
from pydantic import Field

from dispytch import (
    Delivery,
    Dependency,
    Event,
    EventListener,
    HandlerGroup,
    Header,
    Message,
    TopicSegment,
    provides,
)
from dispytch.middleware import Middleware, Next

users = HandlerGroup(prefix="user.")


def get_owner(identity: Annotated[int, TopicSegment(alias="user_id", ge=1)]) -> str:
    return str(identity)


@users.handler(topic="{user_id}.{action}")
async def segments(
    event: Event[Order],
    user_id: Annotated[int, TopicSegment()],
    action: Annotated[Literal["left", "joined"], TopicSegment(), Field(max_length=9)],
    owner: Annotated[str, Dependency(get_owner)],
) -> int:
    assert_type(user_id, int)
    assert_type(action, Literal["left", "joined"])
    assert_type(event.segments["user_id"], str)
    return user_id


@users.handler(topic="{user_id}.moved")
async def segment_as_default(
    event: Event[Order], user_id: UUID = TopicSegment(strict=False)
) -> None:
    assert_type(user_id, UUID)


TopicSegment("user_id")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
TopicSegment(ge="one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
TopicSegment(regex="a+")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


@users.handler(topic="headers")
async def headers(
    event: Event[Order],
    delivery: Delivery,
    x_tenant: Annotated[str, Header()],
    trace: Annotated[UUID | None, Header("x-trace")] = None,
    tags: list[str] = Header("x-tag"),
) -> str:
    assert_type(x_tenant, str)
    assert_type(trace, UUID | None)
    assert_type(tags, list[str])
    message: Message = delivery
    assert_type(message.value, bytes | None)
    return x_tenant


Header(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Header("x-tenant", alias="tenant")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def they_stay_parameters_of_a_function(event: Event[Order], delivery: Delivery) -> None:
    assert_type(await segments(event, 5, "left", "ada"), int)
    assert_type(await headers(event, delivery, "acme"), str)
    await segments(event, "5", "left", "ada")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await segments(event, 5, "flew", "ada")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await headers(event, delivery, trace=None)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


class Pool:
    async def acquire(self) -> int:
        return 1


async def get_connection(
    pool: Annotated[Pool, Dependency(Pool, scope="app")],
    hashed: Annotated[bytes, Dependency(bytes, thread=True)],
) -> int:
    assert_type(pool, Pool)
    return await pool.acquire()


@users.handler(topic="app")
async def app_scoped(
    event: Event[Order],
    connection: Annotated[int, Dependency(get_connection)],
    pool: Pool = Dependency(Pool, scope="app"),
) -> None:
    assert_type(connection, int)
    assert_type(pool, Pool)


Dependency(Pool, scope="session")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Dependency(Pool, scope=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Tenant:
    name: str = "acme"


@provides(Tenant)
async def with_tenant(event: Event[Any], call_next: Next) -> Any:
    event.provide(Tenant, Tenant())
    event.provide("Tenant", Tenant())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(event.provided(Tenant), Tenant)
    return await call_next(event)


@provides(Tenant, Order)
class Providing:
    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, event: Event[Any], call_next: Next, /) -> Any:
        return await call_next(event)


provides("Tenant")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
provides(Tenant)(5)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]

what_provides_stays_what_it_is: list[Middleware] = [with_tenant, Providing("acme")]
assert_type(Providing("acme").name, str)
Providing()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


@users.handler(topic="tenants", middlewares=[with_tenant])
async def of_a_tenant(event: Event[Order], tenant: Tenant) -> str:
    return tenant.name


listener = EventListener("memory", group="users", middlewares=[Providing("acme")])
listener.overrides[get_connection] = lambda: 5
listener.overrides[get_connection] = 5  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
