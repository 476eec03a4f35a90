"""Any graph of dependencies gives the values, and the order, of a plain recursive reference."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispytch.dependencies import Dependency, bind, compile_handler

KINDS = ("sync", "async", "generator", "async generator", "thread", "thread generator")


@dataclass(frozen=True)
class Node:
    """A dependency that needs earlier ones: (which, shared, by keyword)."""

    kind: str
    needs: tuple[tuple[int, bool, bool], ...]


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    nodes: list[Node] = []
    for size in range(draw(st.integers(1, 7))):
        need = st.tuples(st.integers(0, max(size - 1, 0)), st.booleans(), st.booleans())
        needs = draw(st.lists(need, max_size=3)) if size else []
        needs.sort(key=lambda one: one[2])
        nodes.append(Node(draw(st.sampled_from(KINDS)), tuple(needs)))
    return nodes


class Reference:
    """Makes the value of each node, depth first, as the handbook would."""

    def __init__(self, graph: list[Node]) -> None:
        self.graph = graph
        self.log: list[str] = []
        self._shared: dict[int, Any] = {}
        self._made: list[int] = []

    def make(self, index: int, shared: bool) -> Any:
        if shared and index in self._shared:
            return self._shared[index]
        node = self.graph[index]
        value = (index, *(self.make(need, cached) for need, cached, _ in node.needs))
        self.log.append(f"+{index}")
        if "generator" in node.kind:
            self._made.append(index)
        self._shared.setdefault(index, value)
        return value

    def finish(self) -> None:
        self.log += [f"-{index}" for index in reversed(self._made)]


def function(index: int, node: Node, log: list[str]) -> Callable[..., Any]:
    def made(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        log.append(f"+{index}")
        return (index, *args, *kwargs.values())

    def sync(*args: Any, **kwargs: Any) -> Any:
        return made(args, kwargs)

    async def asynchronous(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return made(args, kwargs)

    def generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
        try:
            yield made(args, kwargs)
        finally:
            log.append(f"-{index}")

    async def async_generator(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        try:
            yield made(args, kwargs)
        finally:
            await asyncio.sleep(0)
            log.append(f"-{index}")

    forms: dict[str, Callable[..., Any]] = {
        "sync": sync,
        "async": asynchronous,
        "generator": generator,
        "async generator": async_generator,
    }
    return forms[node.kind.removeprefix("thread ").replace("thread", "sync")]


def signed(func: Any, needs: list[tuple[Any, bool]]) -> Callable[..., Any]:
    """The function with parameters that ask for these markers, the last ones by keyword."""
    func.__signature__ = Signature(
        [
            Parameter(
                f"p{place}",
                Parameter.KEYWORD_ONLY if keyword else Parameter.POSITIONAL_OR_KEYWORD,
                annotation=Annotated[Any, marker],
            )
            for place, (marker, keyword) in enumerate(needs)
        ]
    )
    made: Callable[..., Any] = func
    return made


def wired(graph: list[Node], log: list[str]) -> list[Callable[..., Any]]:
    functions: list[Callable[..., Any]] = []

    def marker(need: int, shared: bool) -> Any:
        thread = graph[need].kind.startswith("thread")
        return Dependency(functions[need], use_cache=shared, thread=thread)

    for index, node in enumerate(graph):
        needs = [(marker(need, shared), keyword) for need, shared, keyword in node.needs]
        functions.append(signed(function(index, node, log), needs))
    return functions


@settings(max_examples=150, deadline=None)
@given(graphs(), st.booleans())
def test_values_and_order(graph: list[Node], fails: bool) -> None:
    # The last node stands for the handler: nothing depends on it.
    handler_node = Node("async", graph[-1].needs)
    graph = [*graph[:-1], handler_node]
    reference = Reference(graph)
    expected = reference.make(len(graph) - 1, shared=False)
    reference.finish()

    log: list[str] = []
    handler = wired(graph, log)[-1]
    error = ValueError()

    async def run() -> Any:
        async def around(*args: Any, **kwargs: Any) -> Any:
            result = await handler(*args, **kwargs)
            if fails:
                raise error
            return result

        around.__signature__ = handler.__signature__  # type: ignore[attr-defined]
        run = bind(compile_handler(around), {})
        if not fails:
            return await run(None)  # type: ignore[arg-type]
        with pytest.raises(ValueError) as raised:  # noqa: PT011
            await run(None)  # type: ignore[arg-type]
        assert raised.value is error
        return expected

    assert asyncio.run(run()) == expected
    assert log == reference.log
