"""What is written the same gives the same in FastAPI: it is the judge, where it is installed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial, wraps
from typing import Annotated, Any, Optional

import pytest

from dispytch.dependencies import Dependency
from dispytch.dependencies.dependency import checked
from dispytch.exceptions import ConfigurationError

fastapi = pytest.importorskip("fastapi")
testclient = pytest.importorskip("fastapi.testclient")

Resolve = Callable[..., Awaitable[Any]]
Mark = Callable[..., Any]
"""`Dependency`, or FastAPI's `Depends`."""


class Log(list[str]):
    """What was called and closed, in order; each call gives its own name and number."""

    def made(self, name: str) -> str:
        self.append(name)
        return f"{name}{self.count(name)}"

    def closed(self, name: str) -> None:
        self.append(f"-{name}")


def wrapped(func: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return wrapper


def of_every_form(log: Log, name: str, mark: Mark, inner: Any = None) -> dict[str, Any]:
    """Dependencies that ask for ``inner``, or for something that is there."""

    def there() -> str:
        return "."

    asks = Annotated[str, mark(inner or there)]

    def sync(a: asks) -> str:
        return log.made(name) + str(a)

    async def asynchronous(a: asks) -> str:
        return log.made(name) + str(a)

    def generator(a: asks) -> Iterator[str]:
        yield log.made(name) + str(a)
        log.closed(name)

    async def async_generator(a: asks) -> AsyncIterator[str]:
        yield log.made(name) + str(a)
        log.closed(name)

    def two(b: str, a: asks) -> str:
        return log.made(name) + str(a) + b

    class Made:
        def __init__(self, a: asks) -> None:
            self.text = log.made(name) + str(a)

        def __str__(self) -> str:
            return self.text

    class Calls:
        def __call__(self, a: asks) -> str:
            return log.made(name) + str(a)

        def method(self, a: asks) -> str:
            return log.made(name) + str(a)

        async def later(self, a: asks) -> str:
            return log.made(name) + str(a)

        def generator(self, a: asks) -> Iterator[str]:
            yield log.made(name) + str(a)
            log.closed(name)

        @classmethod
        def of_class(cls, a: asks) -> str:
            return log.made(name) + str(a)

        @staticmethod
        def static(a: asks) -> str:
            return log.made(name) + str(a)

    class CallsLater:
        async def __call__(self, a: asks) -> str:
            return log.made(name) + str(a)

    class Generates:
        def __call__(self, a: asks) -> Iterator[str]:
            yield log.made(name) + str(a)
            log.closed(name)

    return {
        "sync": sync,
        "async": asynchronous,
        "generator": generator,
        "async generator": async_generator,
        "partial": partial(two, b="!"),
        "class": Made,
        "callable": Calls(),
        "method": Calls().method,
        "async method": Calls().later,
        "generator method": Calls().generator,
        "class method": Calls.of_class,
        "static method": Calls.static,
        "async callable": CallsLater(),
        "generating callable": Generates(),
        "wrapped": wrapped(sync),
        "wrapped async": wrapped(asynchronous),
        "wrapped generator": wrapped(generator),
    }


FORMS = list(of_every_form(Log(), "", Dependency))


class Equal:
    """Objects with one log are equal."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def __call__(self) -> str:
        return self.log.made("equal")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equal) and other.log is self.log

    def __hash__(self) -> int:
        return id(self.log)


def cases(mark: Mark, log: Log, form: str) -> dict[str, Callable[..., Any]]:
    """Handlers, each with something that is written the same in FastAPI."""
    one = of_every_form(log, "one", mark)[form]
    other = of_every_form(log, "other", mark)[form]
    outer = of_every_form(log, "outer", mark, one)[form]
    again = of_every_form(log, "again", mark, one)["sync"]
    equal, same = Equal(log), Equal(log)

    async def alone(a: Annotated[Any, mark(one)]) -> Any:
        return [str(a)]

    def not_async(a: Annotated[Any, mark(one)]) -> Any:
        return [str(a)]

    async def by_default(a: Any = mark(one)) -> Any:  # noqa: B008
        return [str(a)]

    async def keyword_only(*, a: Annotated[Any, mark(one)]) -> Any:
        return [str(a)]

    async def twice(a: Annotated[Any, mark(one)], b: Annotated[Any, mark(one)]) -> Any:
        return [str(a), str(b)]

    async def never_shared(
        a: Annotated[Any, mark(one, use_cache=False)], b: Annotated[Any, mark(one, use_cache=False)]
    ) -> Any:
        return [str(a), str(b)]

    async def first_alone(
        a: Annotated[Any, mark(one, use_cache=False)],
        b: Annotated[Any, mark(one)],
        c: Annotated[Any, mark(one)],
    ) -> Any:
        return [str(a), str(b), str(c)]

    async def then_alone(
        a: Annotated[Any, mark(one)],
        b: Annotated[Any, mark(one, use_cache=False)],
        c: Annotated[Any, mark(one)],
    ) -> Any:
        return [str(a), str(b), str(c)]

    async def nested(a: Annotated[Any, mark(outer)]) -> Any:
        return [str(a)]

    async def diamond(
        a: Annotated[Any, mark(outer)],
        b: Annotated[Any, mark(again)],
        c: Annotated[Any, mark(one)],
    ) -> Any:
        return [str(a), str(b), str(c)]

    async def in_order(a: Annotated[Any, mark(other)], b: Annotated[Any, mark(one)]) -> Any:
        return [str(a), str(b)]

    async def two_markers(a: Annotated[Any, mark(one), mark(other)]) -> Any:
        return [str(a)]

    async def within(a: Annotated[Annotated[Any, mark(one)], mark(other)]) -> Any:
        return [str(a)]

    async def both_ways(a: Annotated[Any, mark(one)] = mark(other)) -> Any:  # noqa: B008
        return [str(a)]

    async def beside_a_default(a: Annotated[Any, mark(one)] = None) -> Any:
        return [str(a)]

    async def optional(a: Annotated[Optional[Any], mark(one)] = None) -> Any:  # noqa: UP045
        return [str(a)]

    async def equals(a: Annotated[Any, mark(equal)], b: Annotated[Any, mark(same)]) -> Any:
        return [a, b, str(mark is None)]

    found = {name: value for name, value in locals().items() if callable(value)}
    apart = ("mark", "one", "other", "outer", "again", "equal", "same")
    return {name: handler for name, handler in found.items() if name not in apart}


CASES = list(cases(Dependency, Log(), "sync"))


def judged(handler: Callable[..., Any], before: list[Any]) -> object:
    """What FastAPI gives; None where it refuses."""
    app = fastapi.FastAPI()
    try:
        app.get("/", dependencies=before)(handler)
    except AssertionError:
        return None
    with testclient.TestClient(app) as client:
        return client.get("/").json()


async def given(handler: Callable[..., Any], before: list[Any], resolve: Resolve) -> object:
    """What is given here; None where it is refused."""
    from dispytch.dependencies import Wiring, bind

    try:
        plan = Wiring().plan(handler, before=checked(before))
    except ConfigurationError:
        return None
    return await bind(plan, {})(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES)
async def test_it_gives_what_fastapi_gives(case: str, form: str, resolve: Resolve) -> None:
    here, there = Log(), Log()
    mine = await given(cases(Dependency, here, form)[case], [], resolve)
    assert mine == judged(cases(fastapi.Depends, there, form)[case], [])
    assert here == there


@pytest.mark.parametrize("form", FORMS)
async def test_so_do_those_whose_values_nobody_takes(form: str, resolve: Resolve) -> None:
    def before(mark: Mark, log: Log) -> list[Any]:
        one = of_every_form(log, "one", mark)[form]
        other = of_every_form(log, "other", mark)[form]
        return [mark(other), mark(one), mark(other)]

    here, there = Log(), Log()
    asked = cases(Dependency, here, form)["twice"], cases(fastapi.Depends, there, form)["twice"]
    mine = await given(asked[0], before(Dependency, here), resolve)
    assert mine == judged(asked[1], before(fastapi.Depends, there))
    assert here == there


async def test_where_it_differs_it_is_refused() -> None:
    """FastAPI takes None in silence."""
    from dispytch.dependencies import Wiring

    def one() -> int:
        return 1

    def optional(mark: Mark) -> Callable[..., Any]:
        async def handler(a: Optional[Annotated[int, mark(one)]] = None) -> Any:  # noqa: UP045
            return a

        return handler

    assert judged(optional(fastapi.Depends), []) is None
    with pytest.raises(ConfigurationError, match="put it around the union"):
        Wiring().plan(optional(Dependency))


@pytest.mark.parametrize("form", FORMS)
async def test_overrides_do_the_same(form: str, resolve: Resolve) -> None:
    here, there = Log(), Log()
    ours, theirs = (
        of_every_form(log, "one", mark)[form]
        for log, mark in ((here, Dependency), (there, fastapi.Depends))
    )

    async def mine(a: Annotated[Any, Dependency(ours)]) -> Any:
        return a

    async def judge(a: Annotated[Any, fastapi.Depends(theirs)]) -> Any:
        return a

    def fake() -> str:
        return "fake"

    app = fastapi.FastAPI()
    app.get("/")(judge)
    app.dependency_overrides[theirs] = fake
    with testclient.TestClient(app) as client:
        expected = client.get("/").json()
    assert await resolve(mine, overrides={ours: fake}) == expected == "fake"
    assert here == there == []
