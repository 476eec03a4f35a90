"""What stands in for dependencies."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Annotated, Any

import pytest

from dispytch.dependencies import Dependency, Overrides, Wiring
from dispytch.events import Event
from dispytch.exceptions import DependencyError

Resolve = Callable[..., Awaitable[Any]]


class Db:
    def __init__(self, name: str = "real") -> None:
        self.name = name

    def session(self) -> str:
        return f"session of {self.name}"


class Emitter: ...


class Tenant: ...


def get_db() -> str:
    return "real"


def get_repo(db: Annotated[str, Dependency(get_db)]) -> str:
    return f"repo on {db}"


async def handler(
    repo: Annotated[str, Dependency(get_repo)], db: Annotated[str, Dependency(get_db)]
) -> tuple[str, str]:
    return repo, db


@pytest.fixture
def overrides() -> Overrides:
    return Overrides()


async def test_a_fake_stands_in_everywhere_and_is_shared(
    overrides: Overrides, resolve: Resolve
) -> None:
    calls: list[int] = []

    def fake() -> str:
        calls.append(1)
        return "fake"

    overrides[get_db] = fake
    assert await resolve(handler, overrides=overrides) == ("repo on fake", "fake")
    assert calls == [1]


async def test_a_fake_is_a_dependency_itself(
    event: Event[Any], overrides: Overrides, resolve: Resolve
) -> None:
    log: list[str] = []

    def name(event: Event[Any]) -> str:
        return event.id

    async def fake(name: Annotated[str, Dependency(name)]) -> Any:
        log.append("open")
        await asyncio.sleep(0)
        yield f"fake {name}"
        log.append("close")

    overrides[get_db] = fake
    assert await resolve(handler, overrides=overrides) == ("repo on fake the-id", "fake the-id")
    assert log == ["open", "close"]


async def test_a_class_a_bound_method_and_an_async_fake_for_a_thread(
    overrides: Overrides, resolve: Resolve
) -> None:
    db = Db()

    async def fake() -> str:
        return "async"

    async def taking(
        one: Annotated[Any, Dependency(get_db)],
        two: Annotated[str, Dependency(db.session, thread=True)],
    ) -> Any:
        return one.name, two

    overrides[get_db] = Db
    overrides[db.session] = fake
    assert db.session in overrides
    assert await resolve(taking, overrides=overrides) == ("real", "async")


async def test_a_fake_may_ask_for_what_it_replaces(overrides: Overrides, resolve: Resolve) -> None:
    def spied(real: Annotated[str, Dependency(get_db)]) -> str:
        return f"spied {real}"

    overrides[get_db] = spied
    assert await resolve(handler, overrides=overrides) == ("repo on spied real", "spied real")


async def test_a_fake_takes_over_the_scope(overrides: Overrides, resolve: Resolve) -> None:
    made: list[Db] = []

    def fake() -> Generator[Db, None, None]:
        made.append(Db("fake"))
        yield made[-1]
        made[-1].name = "closed"

    async def taking(db: Annotated[Db, Dependency(Db, scope="app")]) -> str:
        return db.name

    overrides[Db] = fake
    assert await resolve(taking, overrides=overrides, times=3) == "fake"
    assert [db.name for db in made] == ["closed"]


def test_a_fake_that_cannot_live_as_long_is_refused_with_the_path(overrides: Overrides) -> None:
    def fake(event: Event[Any]) -> str:
        return event.id

    async def taking(db: Annotated[str, Dependency(get_db, scope="app")]) -> None: ...

    overrides[get_db] = fake
    with pytest.raises(
        DependencyError,
        match=r"dependency `.*fake` \(in place of `get_db`\) → parameter `event` belongs to one",
    ):
        Wiring((), overrides).plan(taking)


async def test_what_is_asked_for_by_its_type(
    event: Event[Any], overrides: Overrides, resolve: Resolve
) -> None:
    fake, tenant = Emitter(), Tenant()

    def pool(emitter: Emitter) -> Emitter:
        return emitter

    async def taking(
        emitter: Emitter, tenant: Tenant, app: Annotated[Emitter, Dependency(pool, scope="app")]
    ) -> Any:
        return emitter, tenant, app

    overrides[Emitter] = lambda: fake
    overrides[Tenant] = lambda: tenant
    assert await resolve(taking, {Emitter: Emitter()}, given={Tenant}, overrides=overrides) == (
        fake,
        tenant,
        fake,
    )


def test_a_fake_that_needs_itself_by_detour_is_a_cycle(overrides: Overrides) -> None:
    def fake(repo: Annotated[str, Dependency(get_repo)]) -> str:
        return repo

    overrides[get_db] = fake
    with pytest.raises(DependencyError, match="a cycle"):
        Wiring((), overrides).plan(handler)


def test_unused_ones_are_told_from_those_that_another_override_hides(overrides: Overrides) -> None:
    overrides[get_repo] = lambda: "repo"
    overrides[get_db] = lambda: "db"
    overrides[Db] = Db

    async def taking(repo: Annotated[str, Dependency(get_repo)]) -> None: ...

    wiring, plain = Wiring((), overrides), Wiring()
    for one in (wiring, plain):
        one.plan(taking)
    assert wiring.unused == [get_db, Db]
    with pytest.raises(DependencyError, match=r"no handler depends on `[^`]*\.Db`; the key is"):
        wiring.check_unused(plain)


def test_a_mapping_like_any_other(overrides: Overrides) -> None:
    db = Db()
    overrides[db.session] = get_db
    assert (list(overrides), len(overrides)) == ([db.session], 1)
    assert overrides[db.session] is get_db
    assert repr(overrides) == "Overrides({Db.session: get_db})"
    with pytest.raises(KeyError) as raised:
        del overrides[get_repo]
    assert raised.value.args == (get_repo,)
    overrides.clear()
    assert overrides == {}


@pytest.mark.parametrize(
    ("key", "fake", "text"),
    [(get_db, "fake", "for `get_db` is called .* write `lambda: ...`"), ("db", get_db, "no depen")],
)
def test_only_callables(overrides: Overrides, key: Any, fake: Any, text: str) -> None:
    with pytest.raises(DependencyError, match=text):
        overrides[key] = fake
