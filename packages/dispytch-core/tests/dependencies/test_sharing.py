"""How often a dependency is made in one run, and in which order."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from dispytch.dependencies import Dependency

Resolve = Callable[..., Awaitable[Any]]


class Counted:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls

    def method(self) -> int:
        return self()

    __hash__ = None  # type: ignore[assignment]


async def test_shared_within_a_run_and_made_anew_in_the_next(resolve: Resolve) -> None:
    counted = Counted()

    def left(n: Annotated[int, Dependency(counted)]) -> int:
        return n

    async def right(n: Annotated[int, Dependency(counted)]) -> int:
        return n

    async def handler(
        a: Annotated[int, Dependency(left)],
        b: Annotated[int, Dependency(right)],
        c: Annotated[int, Dependency(counted)],
    ) -> tuple[int, int, int]:
        return a, b, c

    assert await resolve(handler) == (1, 1, 1)
    assert await resolve(handler) == (2, 2, 2)


async def test_a_bound_method_is_the_same_however_often_it_is_taken(resolve: Resolve) -> None:
    counted, other = Counted(), Counted()

    async def handler(
        a: Annotated[int, Dependency(counted.method)],
        b: Annotated[int, Dependency(counted.method)],
        c: Annotated[int, Dependency(other.method)],
    ) -> tuple[int, int, int]:
        return a, b, c

    assert await resolve(handler) == (1, 1, 1)
    assert (counted.calls, other.calls) == (1, 1)


async def test_without_cache_it_is_made_for_each_parameter_and_the_first_one_is_shared(
    resolve: Resolve,
) -> None:
    counted, inner = Counted(), Counted()

    def outer(_: Annotated[int, Dependency(inner)]) -> int:
        return counted()

    async def handler(
        a: Annotated[int, Dependency(outer, use_cache=False)],
        b: Annotated[int, Dependency(outer)],
        c: Annotated[int, Dependency(outer)],
        d: Annotated[int, Dependency(outer, use_cache=False)],
    ) -> tuple[int, int, int, int]:
        return a, b, c, d

    assert await resolve(handler) == (1, 1, 1, 2)
    assert inner.calls == 1


async def test_three_levels(resolve: Resolve) -> None:
    def first() -> str:
        return "1"

    async def second(one: Annotated[str, Dependency(first)]) -> str:
        return one + "2"

    def third(two: str = Dependency(second), one: str = Dependency(first)) -> str:
        return two + "3" + one

    async def handler(all_: Annotated[str, Dependency(third)]) -> str:
        return all_

    assert await resolve(handler) == "1231"
