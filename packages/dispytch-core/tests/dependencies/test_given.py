"""What belongs to the event beside it: the delivery, and values that middlewares provide."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import pytest

from dispytch.dependencies import Dependency, Wiring, bind
from dispytch.events import Event
from dispytch.exceptions import ConfigurationError, DependencyError
from dispytch.messages import Delivery, Message
from dispytch.middleware import Next, provided_within, provides, wrap

Resolve = Callable[..., Awaitable[Any]]


class Tenant:
    def __init__(self, name: str) -> None:
        self.name = name


class Emitter: ...


ACME = Tenant("acme")


async def name_of(tenant: Tenant) -> str:
    return tenant.name


async def test_the_raw_message_by_its_type(event: Event[Any], resolve: Resolve) -> None:
    def of(message: Message) -> Message:
        return message

    async def handler(
        delivery: Delivery, message: Message | None, other: Annotated[Message, Dependency(of)]
    ) -> tuple[object, ...]:
        return delivery, message, other

    assert await resolve(handler) == (event.delivery,) * 3


async def test_a_given_value_reaches_handler_and_dependencies(
    event: Event[Any], resolve: Resolve
) -> None:
    async def handler(
        tenant: Tenant | None, *, name: Annotated[str, Dependency(name_of)]
    ) -> tuple[object, str]:
        return tenant, name

    event.provide(Tenant, Tenant("earlier"))
    event.provide(Tenant, ACME)
    assert event.provided(Tenant) is ACME
    assert await resolve(handler, given={Tenant}) == (ACME, "acme")


async def test_a_given_value_counts_before_the_frameworks(
    event: Event[Any], resolve: Resolve
) -> None:
    own = Emitter()

    async def handler(emitter: Emitter) -> Emitter:
        return emitter

    event.provide(Emitter, own)
    assert await resolve(handler, {Emitter: Emitter()}, given={Emitter}) is own


async def test_what_was_not_given_leaves_the_default_or_is_an_error(resolve: Resolve) -> None:
    async def optional(tenant: Tenant = ACME) -> Tenant:
        return tenant

    async def needing(name: Annotated[str, Dependency(name_of)]) -> None: ...

    assert await resolve(optional, given={Tenant}) is ACME
    with pytest.raises(
        DependencyError,
        match=r"→ dependency `name_of` → parameter `tenant`: no middleware has provided Tenant .* "
        r"event\.provide\(Tenant, \.\.\.\)",
    ):
        await resolve(needing, given={Tenant})


def test_what_no_middleware_declares_is_refused_at_start() -> None:
    async def handler(name: Annotated[str, Dependency(name_of)]) -> None: ...

    with pytest.raises(
        DependencyError,
        match=r"`name_of` → parameter `tenant`: nothing provides it; .* @provides\(Tenant\)",
    ):
        Wiring().plan(handler)


async def test_a_middleware_provides_what_it_declares(event: Event[Any]) -> None:
    @provides(Tenant)
    class Tenants:
        async def __call__(self, event: Event[Any], call_next: Next, /) -> Any:
            event.provide(Tenant, ACME)
            return await call_next(event)

    @provides(Emitter)
    class More(Tenants): ...

    @provides(int, str)
    async def function(event: Event[Any], call_next: Next, /) -> Any: ...

    async def plain(event: Event[Any], call_next: Next, /) -> Any: ...

    assert provided_within([Tenants(), plain]) == {Tenant}
    assert provided_within([More(), function]) == {Tenant, Emitter, int, str}

    async def handler(tenant: Tenant) -> str:
        return tenant.name

    plan = Wiring().plan(handler, provided_within([Tenants()]))
    assert await wrap(bind(plan, {}), [Tenants()])(event) == "acme"


@pytest.mark.parametrize("kinds", [(), ("Tenant",), (Tenant, list[int])])
def test_only_classes_are_provided(kinds: Any) -> None:
    with pytest.raises(ConfigurationError, match="takes the classes that a middleware provides"):
        provides(*kinds)
