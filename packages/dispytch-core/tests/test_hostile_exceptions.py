"""Whatever a user's code raises is a failed attempt like any other."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Annotated, Any
from uuid import uuid4

import pytest

from dispytch import (
    Batch,
    CircuitBreaker,
    DeadLetters,
    Dependency,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    RetryPolicy,
)
from dispytch.exceptions import BatchFailed, DependencyError, RetryAfter
from dispytch.middleware import Idempotent, Log, Next, Timing, map_exceptions


class Placed(EventBase):
    __topic__ = "orders"
    __event_type__ = "placed"

    bad: bool = False


class Panic(BaseException):
    """As the panic of a module that is written in Rust."""


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Odd(Exception):
    def __str__(self) -> Any:
        return 5

    def __reduce__(self) -> Any:
        raise RuntimeError("no pickle")

    def __bool__(self) -> bool:
        raise RuntimeError("neither")

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not comparable")

    __hash__ = None  # type: ignore[assignment]

    @property
    def args(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        raise RuntimeError("no args")

    @property
    def __notes__(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        raise RuntimeError("no notes")


class Classless(Exception):
    def __getattribute__(self, name: str) -> Any:
        if name in ("__class__", "__cause__", "__context__", "args"):
            raise RuntimeError("no class")
        return super().__getattribute__(name)


class ClasslessPanic(Panic):
    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise RuntimeError("no class")


class Recursive(Exception):
    def __str__(self) -> str:
        return str(self)


class Panicking(Exception):
    def __str__(self) -> str:
        raise Panic

    __repr__ = __str__


def with_notes() -> Exception:
    error = ValueError("text")
    setattr(error, "__notes__", [Mute(), 5, None, "x" * 10_000])  # noqa: B010 - of a wrong type
    return error


def with_odd_notes() -> Exception:
    error = ValueError("text")
    setattr(error, "__notes__", 5)  # noqa: B010 - of a wrong type
    return error


def caused() -> Exception:
    error = ValueError("text")
    error.__cause__ = Classless()
    return error


def in_a_circle() -> Exception:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    return one


def deep() -> Exception:
    error = ValueError("0")
    for number in range(3000):
        following = ValueError(str(number))
        following.__cause__ = error
        error = following
    return error


def deep_group() -> Exception:
    error: Exception = ValueError("x")
    for _ in range(200):
        members: list[Exception] = [error, Mute()]
        error = ExceptionGroup("g", members)
    return error


ERRORS: dict[str, Callable[[], BaseException]] = {
    "mute": Mute,
    "odd": Odd,
    "recursive": Recursive,
    "classless": Classless,
    "caused by a classless one": caused,
    "classless group": lambda: ExceptionGroup("many", [Classless(), caused()]),
    "panicking": Panicking,
    "panic": lambda: Panic("text"),
    "classless panic": ClasslessPanic,
    "generator exit": GeneratorExit,
    "cancelled": asyncio.CancelledError,
    "stop": StopIteration,
    "stop async": StopAsyncIteration,
    "notes": with_notes,
    "odd notes": with_odd_notes,
    "circle": in_a_circle,
    "deep": deep,
    "group": lambda: ExceptionGroup("many", [Mute(), Odd(), with_notes()] * 100),
    "base group": lambda: BaseExceptionGroup("many", [Panic(), ValueError()]),
    "deep group": deep_group,
    "surrogates": lambda: ValueError("\ud800\x00\n" + "x" * 1_000_000),
    "bytes": lambda: KeyError(b"x" * 1_000_000),
    "memory": MemoryError,
    "recursion": RecursionError,
}


class Shop:
    def __init__(self, error: Callable[[], BaseException]) -> None:
        self.error = error
        self.runs = 0
        self.good = 0

    def fail_if(self, event: Event[Placed]) -> None:
        if event.body.bad:
            self.runs += 1
            raise self.error()

    def group(self, where: str) -> HandlerGroup:
        group = HandlerGroup(default_topic="orders", default_event="placed")
        handler, options = getattr(self, f"_{where}")()
        group.handler(**options)(handler)
        return group

    def _async(self) -> Any:
        async def handle(event: Event[Placed]) -> None:
            self.fail_if(event)
            self.good += 1

        return handle, {}

    def _sync(self) -> Any:
        def handle(event: Event[Placed]) -> None:
            self.fail_if(event)
            self.good += 1

        return handle, {}

    def _timed(self) -> Any:
        return self._async()[0], {"timeout": 5}

    def _dependency(self) -> Any:
        async def given(event: Event[Placed]) -> None:
            self.fail_if(event)

        async def handle(given: Annotated[None, Dependency(given)]) -> None:
            self.good += 1

        return handle, {}

    def _thread_dependency(self) -> Any:
        def given(event: Event[Placed]) -> None:
            self.fail_if(event)

        async def handle(given: Annotated[None, Dependency(given, thread=True)]) -> None:
            self.good += 1

        return handle, {}

    def _teardown(self) -> Any:
        def given(event: Event[Placed]) -> Generator[None]:
            yield
            self.fail_if(event)

        async def handle(event: Event[Placed], given: Annotated[None, Dependency(given)]) -> None:
            self.good += not event.body.bad

        return handle, {}

    def _async_teardown(self) -> Any:
        async def given(event: Event[Placed]) -> AsyncGenerator[None]:
            yield
            self.fail_if(event)

        async def handle(event: Event[Placed], given: Annotated[None, Dependency(given)]) -> None:
            self.good += not event.body.bad

        return handle, {}

    def _middleware(self) -> Any:
        async def failing(event: Event[Any], call_next: Next) -> Any:
            if event.body["bad"]:
                self.runs += 1
                raise self.error()
            return await call_next(event)

        async def handle(event: Event) -> None:
            self.good += 1

        return handle, {"middlewares": [failing]}

    def _around(self) -> Any:
        def report(run: object) -> None:
            raise self.error()

        around = [Log(), Timing(report), Idempotent(), map_exceptions({LookupError: KeyError})]
        return self._async()[0], {"middlewares": around}

    def _batch(self) -> Any:
        async def handle(events: list[Event[Placed]]) -> None:
            for event in events:
                self.fail_if(event)
            self.good += len(events)

        return handle, {"batch": Batch(1, wait=0)}

    def _batch_in_part(self) -> Any:
        async def handle(events: list[Event[Placed]]) -> None:
            failures = {
                index: error
                for index, event in enumerate(events)
                if event.body.bad and isinstance(error := self.error(), Exception)
            }
            self.runs += len(failures)
            self.good += sum(not event.body.bad for event in events)
            if failures:
                raise BatchFailed(failures)
            for event in events:
                self.fail_if(event)

        return handle, {"batch": Batch(10, wait=0.01)}


PLACES = (
    "async",
    "sync",
    "timed",
    "dependency",
    "thread_dependency",
    "teardown",
    "async_teardown",
    "middleware",
    "around",
    "batch",
    "batch_in_part",
)
EVERY = [(error, "async") for error in ERRORS] + [
    (error, place) for place in PLACES[1:] for error in ("mute", "odd", "panic", "generator exit")
]


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not met():  # noqa: ASYNC110 - outcomes have no event for that
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("delayed", [False, True], ids=["in place", "delayed"])
@pytest.mark.parametrize(("error", "place"), EVERY)
async def test_it_is_retried_dead_lettered_and_harms_no_other(
    error: str, place: str, delayed: bool
) -> None:
    url, shop = f"memory://{uuid4().hex}", Shop(ERRORS[error])
    listener = EventListener(
        url,
        group="shop",
        retry=RetryPolicy(attempts=2, delay=0, delayed=delayed),
        circuit_breaker=CircuitBreaker(failures=100),
    )
    listener.add_handler_group(shop.group(place))
    async with listener:
        async with EventEmitter(url) as emitter:
            await emitter.emit_many([Placed(bad=True), Placed()])
        await until(lambda: listener.outcomes.dead_lettered == 1 and shop.good >= 1)
        assert (await listener.health()).last_error
        assert shop.runs == 2
    [letter] = await DeadLetters(url, topic="orders", group="shop").read()
    assert (letter.reason, letter.attempts) == ("failed", 2)
    assert letter.error.isprintable()


@pytest.mark.parametrize("error", ERRORS)
async def test_an_app_scoped_dependency_that_raises_it_is_a_start_error(error: str) -> None:
    def given() -> None:
        raise ERRORS[error]()

    async def handle(given: Annotated[None, Dependency(given, scope="app")]) -> None: ...

    group = HandlerGroup(default_topic="orders")
    group.handler()(handle)
    listener = EventListener(f"memory://{uuid4().hex}", group="shop")
    listener.add_handler_group(group)
    with pytest.raises(DependencyError, match="app-scoped could not be made"):
        async with listener:
            pass


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
async def test_an_interrupt_is_no_failure(kind: type[BaseException]) -> None:
    from dispytch.failing import failure_of

    with pytest.raises(kind):
        failure_of(kind())


@pytest.mark.parametrize("seconds", [1e300, 1e306, 1e308])
async def test_a_wait_beyond_all_reckoning_ends_nothing(seconds: float) -> None:
    url, group, good = f"memory://{uuid4().hex}", HandlerGroup(default_topic="orders"), list[int]()

    @group.handler(event="placed", retry=RetryPolicy(attempts=2, delayed=True))
    async def handle(event: Event[Placed]) -> None:
        if event.body.bad:
            raise RetryAfter(seconds)
        good.append(1)

    listener = EventListener(url, group="shop")
    listener.add_handler_group(group)
    async with listener:
        async with EventEmitter(url) as emitter:
            await emitter.emit_many([Placed(bad=True), Placed()])
        # Nothing comes back after more than a week: it is a dead letter at once.
        await until(lambda: listener.outcomes.dead_lettered == 1 and bool(good))
        assert await listener.health()
