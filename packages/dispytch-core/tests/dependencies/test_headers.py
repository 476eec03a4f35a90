"""Headers as parameters: found by name, validated as the annotated type."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from annotated_types import Len
from pydantic import BaseModel, BeforeValidator, Field, Json

from dispytch.dependencies import Dependency, Header, compile_handler
from dispytch.events import Event
from dispytch.exceptions import DependencyError, ParameterInvalid

Resolve = Callable[..., Awaitable[Any]]
ID = UUID(int=7)


class Trace(BaseModel):
    id: int


@pytest.fixture(autouse=True)
def headers(event: Event[Any]) -> None:
    event.delivery.headers = (
        ("x-tenant", b"acme"),
        ("x-count", b"41"),
        ("x-count", b"42"),
        ("x-id", str(ID).encode()),
        ("x-when", b"2026-01-02T03:04:05Z"),
        ("x-trace", b'{"id": 5}'),
        ("x-raw", b"\xff\xfe"),
        ("x-name", "Zoë".encode()),
        ("x-empty", b""),
    )


def asking(annotation: Any, **default: Any) -> Callable[..., Any]:
    """A handler with one parameter, ``x_tenant``, which it returns."""

    async def handler(x_tenant: Any) -> Any:
        return x_tenant

    handler.__annotations__["x_tenant"] = annotation
    if default:
        handler.__defaults__ = (default["default"],)
    return handler


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Annotated[str, Header("x-tenant")], "acme"),
        (Annotated[str, Header()], "acme"),
        (Annotated[str | None, Header()], "acme"),
        (Annotated[str, Header()] | None, "acme"),
        (Annotated[int, Header("x-count")], 42),
        (Annotated[list[int], Header("x-count")], [41, 42]),
        (Annotated[tuple[str, ...], Header("x-count")], ("41", "42")),
        (Annotated[set[int] | None, Header("x-count")], {41, 42}),
        (Annotated[Sequence[str], Header("x-tenant")], ["acme"]),
        (Annotated[UUID, Header("x-id")], ID),
        (Annotated[datetime, Header("x-when")], datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (Annotated[Literal["acme", "umbrella"], Header("x-tenant")], "acme"),
        (Annotated[Json[Trace], Header("x-trace")], Trace(id=5)),
        (Annotated[int, Header("x-count"), Field(ge=42)], 42),
        (Annotated[bytes, Header("x-raw")], b"\xff\xfe"),
        (Annotated[list[bytes], Header("x-raw")], [b"\xff\xfe"]),
        (Annotated[str, Header("x-name")], "Zoë"),
        (Annotated[str, Header("x-empty")], ""),
        (Annotated[Any, Header("x-tenant")], "acme"),
    ],
    ids=str,
)
async def test_a_header_is_found_and_coerced(
    annotation: Any, expected: object, resolve: Resolve
) -> None:
    assert await resolve(asking(annotation)) == expected


async def test_as_a_default_value_it_means_the_same(resolve: Resolve) -> None:
    async def handler(x_count: int = Header(), x_id: Any = Header(), n: str = Header("x-name")):  # type: ignore[no-untyped-def]
        return x_count, n, x_id

    del handler.__annotations__["x_id"]

    assert await resolve(handler) == (42, "Zoë", str(ID))


async def test_a_dependency_takes_headers_too(resolve: Resolve) -> None:
    @dataclass
    class Tenant:
        name: Annotated[str, Header("x-tenant")]

    async def handler(tenant: Annotated[Tenant, Dependency(Tenant)]) -> str:
        return tenant.name

    assert await resolve(handler) == "acme"


@pytest.mark.parametrize("default", [None, "nobody", 7])
async def test_a_missing_header_leaves_the_default(default: object, resolve: Resolve) -> None:
    handler = asking(Annotated[int | None, Header("x-none")], default=default)
    assert await resolve(handler) == default


def fails(value: str) -> str:
    raise RuntimeError("odd")


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (
            Annotated[str | None, Header("X-Tenant")],
            "header 'X-Tenant' is missing; there are: x-count, x-empty, x-id, x-name, x-raw, "
            "x-tenant, x-trace, x-when",
        ),
        (Annotated[list[str], Header("x-none")], "header 'x-none' is missing"),
        (Annotated[int, Header("x-tenant")], "header 'x-tenant' is refused: Input should be a"),
        (Annotated[list[int], Header("x-tenant")], "header 'x-tenant' is refused"),
        (Annotated[list[int], Header("x-count"), Len(3)], "header 'x-count' is refused"),
        (Annotated[int, Header("x-count"), Field(gt=42)], "greater than 42"),
        (Annotated[str, Header("x-raw")], "header 'x-raw' is not UTF-8; as bytes"),
        (
            Annotated[str, Header("x-tenant"), BeforeValidator(fails)],
            "a validator of header 'x-tenant' failed: RuntimeError in fails, line",
        ),
    ],
    # Without addresses, as processes that share the tests must agree on their names.
    ids=lambda one: re.sub(" at 0x[0-9a-f]+", "", str(one)),
)
async def test_a_missing_or_refused_header_makes_the_event_invalid(
    annotation: Any, text: str, resolve: Resolve
) -> None:
    with pytest.raises(ParameterInvalid) as raised:
        await resolve(asking(annotation))
    assert text in str(raised.value)
    assert "acme" not in str(raised.value)


async def test_a_refused_value_beats_the_default(resolve: Resolve) -> None:
    with pytest.raises(ParameterInvalid):
        await resolve(asking(Annotated[int, Header("x-tenant")], default=1))


async def test_headers_are_read_before_anything_is_opened(resolve: Resolve) -> None:
    opened: list[str] = []

    def session() -> None:
        opened.append("session")

    async def handler(
        session: Annotated[None, Dependency(session)], x_none: Annotated[str, Header()]
    ) -> None: ...

    with pytest.raises(ParameterInvalid):
        await resolve(handler)
    assert opened == []


class Opaque: ...


@pytest.mark.parametrize(
    ("handler", "text"),
    [
        (asking(Annotated[Opaque, Header("x-tenant")]), "→ parameter `x_tenant`: a header cannot"),
        (asking(Annotated[str, Header]), "→ parameter `x_tenant`: call Header, as in Header(...)"),
        (asking(str, default=Header), "→ parameter `x_tenant`: call Header, as in Header(...)"),
        (asking(Annotated[str, Dependency]), "→ parameter `x_tenant`: call Dependency, as in"),
        (asking("Annotated[Nowhere, Header()]"), "its annotation 'Annotated[Nowhere, Header()]'"),
    ],
    ids=["type", "uncalled", "uncalled default", "uncalled dependency", "unknown name"],
)
def test_wrong_declarations_are_refused(handler: Callable[..., Any], text: str) -> None:
    with pytest.raises(DependencyError) as raised:
        compile_handler(handler)
    assert text in str(raised.value)


@pytest.mark.parametrize("name", ["", 1])
def test_a_name_is_a_text(name: Any) -> None:
    with pytest.raises(DependencyError, match="takes the name of a header"):
        Header(name)
