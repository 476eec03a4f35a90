"""Aliases and type variables are resolved, or refused: no body is left unchecked."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial, wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Generic, ParamSpec

import pytest
from pydantic import BaseModel
from typing_extensions import TypeAliasType, TypeVar, TypeVarTuple

from dispytch import EventBase, TopicSegment
from dispytch.dependencies import Dependency, Header, Wiring, compile_handler
from dispytch.events import Event
from dispytch.exceptions import DependencyError, InvalidHandler

Resolve = Callable[..., Awaitable[Any]]

T = TypeVar("T")
U = TypeVar("U")
D = TypeVar("D", default=int)
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")


class Order(BaseModel):
    number: int


class Invoice(BaseModel):
    total: Decimal


class Open(BaseModel, extra="allow"): ...


class Page(BaseModel, Generic[T]):
    items: list[T]


Bound = TypeVar("Bound", bound=Order)
OneOf = TypeVar("OneOf", int, str)
Late = TypeVar("Late", bound="Order")
AnyModel = TypeVar("AnyModel", bound=BaseModel)
AnyEvent = TypeVar("AnyEvent", bound=EventBase)
AnyThing = TypeVar("AnyThing", bound=Any)
AnyFields = TypeVar("AnyFields", bound=Open)

In = TypeAliasType("In", Event[T], type_params=(T,))
Pages = TypeAliasType("Pages", In[Page[T]], type_params=(T,))
Pair = TypeAliasType("Pair", Event[tuple[T, U]], type_params=(T, U))
Turned = TypeAliasType("Turned", Event[tuple[U, T]], type_params=(T, U))
Half = TypeAliasType("Half", Pair[str, T], type_params=(T,))
Noted = TypeAliasType("Noted", Annotated[In[T], "a note"], type_params=(T,))
Maybe = TypeAliasType("Maybe", "In[T] | None", type_params=(T,))
Orders = TypeAliasType("Orders", In[Order])
Many = TypeAliasType("Many", list[Event[T]], type_params=(T,))
Body = TypeAliasType("Body", Order)
Itself = TypeAliasType("Itself", "Itself")  # type: ignore[misc]  # pyright: ignore
Plain = In[Order]
Defaulted = TypeAliasType("Defaulted", Event[list[D]], type_params=(D,))


def taking(annotation: Any) -> Callable[..., Any]:
    async def handler(event: Any) -> None: ...

    handler.__annotations__["event"] = annotation
    return handler


@pytest.mark.parametrize(
    ("annotation", "body"),
    [
        (In[Order], Order),
        ("In[Order]", Order),
        (Plain, Order),
        (Orders, Order),
        (Pages[Order], Page[Order]),
        (Pair[int, str], tuple[int, str]),
        (Turned[int, str], tuple[str, int]),
        (Half[int], tuple[str, int]),
        (Noted[Order], Order),
        (Annotated[Noted[Order], "another"], Order),
        (In[In[Order]], Event[Order]),
        (Event[Body], Order),
        (In[Body], Order),
        (Defaulted[str], list[str]),
        (Defaulted, list[int]),
        (Event[D], int),
        (Event[list[D]], list[int]),
        (Event[Bound], Order),
        (Event[AnyFields], Open),
        (Event[OneOf], int | str),
        (Event[dict[str, Bound]], dict[str, Order]),
        (Event["Order"], Order),
        (Event[list["Order"]], list[Order]),
        (In[Order] | None, Order),
        (Event[Callable[[int], D]], Callable[[int], int]),
    ],
)
def test_what_an_alias_stands_for(annotation: Any, body: Any) -> None:
    assert compile_handler(taking(annotation)).body == body


@pytest.mark.parametrize("annotation", [list[In[Order]], Many[Order], Sequence[Noted[Order]]])
def test_batches_by_alias(annotation: Any) -> None:
    assert Wiring().plan(taking(annotation), batch=True).body is Order


@pytest.mark.parametrize(
    ("annotation", "what"),
    [
        (In, "nothing says what T is"),
        (In[T], "nothing says what T is"),
        (Event[T], "nothing says what T is"),
        (Event[dict[str, T]], "nothing says what T is"),
        (Event[Page[U]], "nothing says what U is"),
        (Event[T | None], "nothing says what T is"),
        (Event[Callable[P, int]], "nothing says what P is"),
        (Event[tuple[*Ts]], "nothing says what Ts is"),
        (Event[Callable[[T], int]], "nothing says what T is"),
        (Event[AnyThing], "nothing says what AnyThing is"),
        (Event[AnyModel], "what AnyModel is, as its bound BaseModel has no fields"),
        (Event[list[AnyModel]], "what AnyModel is, as its bound BaseModel has no fields"),
        (Event[AnyEvent], "what AnyEvent is, as its bound EventBase has no fields"),
    ],
)
def test_a_type_variable_that_stands_for_nothing_is_refused(annotation: Any, what: str) -> None:
    with pytest.raises(InvalidHandler, match=r"parameter `event` asks for Event\[") as raised:
        compile_handler(taking(annotation))
    assert what in str(raised.value)
    assert "class Orders(Base[Order])" in str(raised.value)


@pytest.mark.parametrize(
    "annotation",
    [Itself, In["Nowhere"], TypeAliasType("Lost", "Nowhere")],  # type: ignore[name-defined]  # noqa: F821
)
def test_an_alias_of_what_is_not_there_is_refused(annotation: Any) -> None:
    with pytest.raises((DependencyError, InvalidHandler), match=r"parameter `event`.*evaluated"):
        compile_handler(taking(annotation))


class Base(Generic[T]):
    async def handle(self, event: Event[T]) -> None: ...

    async def by_text(self, event: "Event[T]") -> None: ...

    async def of_pages(self, event: Event[Page[T]]) -> None: ...

    async def by_alias(self, event: In[list[T]]) -> None: ...

    @classmethod
    async def of_class(cls, event: Event[T]) -> None: ...

    @staticmethod
    async def static(event: Event[T]) -> None: ...

    async def __call__(self, event: Event[T]) -> None: ...


class OrderHandlers(Base[Order]): ...


class Deep(OrderHandlers): ...


class Mid(Base[list[U]], Generic[U]):
    """Its own parameter is another one's argument."""


class Leaf(Mid[Order]): ...


class Same(Base[list[T]], Generic[T]):
    """It names its parameter as the class above it does."""


class SameLeaf(Same[Order]): ...


class Two(Generic[T, U]):
    async def both(self, event: Event[tuple[T, U]]) -> None: ...


class Swapped(Two[U, T], Generic[T, U]): ...


class First(Swapped[int, str]): ...


class Other(Generic[T]):
    async def other(self, event: Event[T]) -> None: ...


class Several(Base[Order], Other[Invoice]): ...


class WithDefault(Generic[D]):
    async def handle(self, event: Event[D]) -> None: ...


class Untold(WithDefault): ...  # type: ignore[type-arg]


class Lists(Generic[T, D]):
    """Its second parameter has a default."""

    async def handle(self, event: Event[tuple[T, D]]) -> None: ...


class Strings(Lists[str]): ...


class Spec(Generic[T, P]):
    async def handle(self, event: Event[T]) -> None: ...


class Specced(Spec[Order, [int]]): ...


class Holder(BaseModel, Generic[T]):
    async def handle(self, event: Event[T]) -> None: ...


class OrderHolder(Holder[Order]): ...


def around(func: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(func)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await func(*args, **kwargs)

    return wrapper


class Decorated(Generic[T]):
    @around
    async def handle(self, event: Event[T]) -> None: ...


class OrderDecorated(Decorated[Order]): ...


@pytest.mark.parametrize(
    ("handler", "body"),
    [
        (OrderHandlers().handle, Order),
        (OrderHandlers().by_text, Order),
        (OrderHandlers().of_pages, Page[Order]),
        (OrderHandlers().by_alias, list[Order]),
        (OrderHandlers.of_class, Order),
        (OrderHandlers(), Order),
        (Deep().handle, Order),
        (Leaf().handle, list[Order]),
        (Leaf().of_pages, Page[list[Order]]),
        (Mid[Order]().handle, list[Order]),
        (SameLeaf().handle, list[Order]),
        (Base[Order]().handle, Order),
        (Base[Order](), Order),
        (First().both, tuple[str, int]),
        (Several().handle, Order),
        (Several().other, Invoice),
        (Untold().handle, int),
        (WithDefault[str]().handle, str),
        (Strings().handle, tuple[str, int]),
        (Specced().handle, Order),
        (Holder[Order]().handle, Order),
        (OrderHolder().handle, Order),
        (OrderDecorated().handle, Order),
        (partial(OrderHandlers().handle), Order),
        (around(OrderHandlers().handle), Order),
    ],
)
def test_the_method_of_a_generic_class(handler: Callable[..., Any], body: Any) -> None:
    assert compile_handler(handler).body == body


class Free(Base): ...  # type: ignore[type-arg]


class Slots(Generic[T]):
    __slots__ = ()

    async def handle(self, event: Event[T]) -> None: ...


class Tuples(Generic[*Ts]):
    async def handle(self, event: Event[tuple[*Ts]]) -> None: ...


class OneTuple(Tuples[int, str]): ...


@pytest.mark.parametrize(
    "handler",
    [
        Base().handle,
        Base[T]().handle,
        Base.static,
        OrderHandlers.static,
        Free().handle,
        Slots[Order]().handle,
        OneTuple().handle,
    ],
)
def test_one_whose_class_says_nothing_is_refused(handler: Callable[..., Any]) -> None:
    with pytest.raises(InvalidHandler, match=r"nothing says what Ts? is"):
        compile_handler(handler)


class Repo(Generic[T]):
    def __init__(self, event: Event[T], header: Annotated[D, Header()] = 0) -> None:  # type: ignore[assignment]
        self.body = event.body
        self.made_as = getattr(self, "__orig_class__", None)


class OrderRepo(Repo[Order]): ...


@dataclass
class Data(Generic[T]):
    event: Event[T]


@dataclass
class MoreData(Data[Order]):
    more: int = 3


@pytest.mark.parametrize("dependency", [Repo[Order], OrderRepo, Data[Order], MoreData])
async def test_a_generic_class_as_a_dependency(dependency: Any, resolve: Resolve) -> None:
    async def handler(made: Annotated[Any, Dependency(dependency)]) -> Any:
        return made

    assert compile_handler(handler).body is Order
    made = await resolve(handler)
    assert isinstance(made, getattr(dependency, "__origin__", dependency))


async def test_a_generic_class_is_shared_by_its_type_arguments(resolve: Resolve) -> None:
    class Made(Generic[T]): ...

    async def handler(
        one: Annotated[Any, Dependency(Made[int])],
        same: Annotated[Any, Dependency(Made[int])],
        other: Annotated[Any, Dependency(Made[str])],
    ) -> Any:
        return one, same, other

    one, same, other = await resolve(handler)
    assert one is same
    assert one is not other


def test_a_generic_class_that_says_nothing_is_refused_with_its_name() -> None:
    async def handler(repo: Annotated[Any, Dependency(Repo[T])]) -> None: ...

    with pytest.raises(InvalidHandler, match=r"dependency `Repo\[.?T\]` → parameter `event` asks"):
        compile_handler(handler)


class Reading(Generic[T]):
    async def header(self, tenant: Annotated[T, Header()]) -> None: ...

    async def segment(self, id: Annotated[T, TopicSegment()]) -> None: ...


class IntReading(Reading[int]): ...


async def test_headers_and_segments_of_a_generic_class(event: Event[Any]) -> None:
    from dispytch.dependencies import bind
    from dispytch.exceptions import ParameterInvalid

    plan = compile_handler(IntReading().header)
    event.delivery.headers = [("tenant", b"no number")]
    with pytest.raises(ParameterInvalid, match="tenant"):
        await bind(plan, {})(event)
    for read in (Reading().header, Reading().segment):
        with pytest.raises(DependencyError, match=r"is validated as .*nothing says what T is"):
            Wiring().plan(read, topic="t.{id}", pattern=None)


if sys.version_info >= (3, 12):
    WRITTEN = SimpleNamespace()
    exec(
        compile(
            Path(__file__).with_name("type_statements.txt").read_text(), "type_statements", "exec"
        ),
        vars(WRITTEN),
    )

    @pytest.mark.parametrize("name", WRITTEN.GOOD)
    def test_type_statements_and_type_parameters(name: str) -> None:
        handler, body = WRITTEN.GOOD[name]
        assert compile_handler(handler).body == body

    @pytest.mark.parametrize("name", WRITTEN.BAD)
    def test_those_that_say_nothing_are_refused(name: str) -> None:
        with pytest.raises((InvalidHandler, DependencyError), match="parameter `event`"):
            compile_handler(WRITTEN.BAD[name])
