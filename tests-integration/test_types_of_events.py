"""One topic, several types of events, and each handler with the body that it asks for."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from typing_extensions import TypedDict  # Before 3.12, pydantic takes no other.

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup

PATIENCE = 30.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@dataclass
class Deposited:
    amount: int


class Withdrawn(TypedDict):
    amount: int


class Card(BaseModel):
    kind: Literal["card"]
    digits: str


class Iban(BaseModel):
    kind: Literal["iban"]
    country: str


Method = Annotated[Card | Iban, Field(discriminator="kind")]


async def test_each_handler_gets_its_type_and_a_catch_all_gets_them_all(
    broker_url: str, unique: str
) -> None:
    topic = f"accounts.{unique}"

    class Account(EventBase):
        __topic__ = topic
        __event_type__ = "any"
        __key__ = "{account}"

        account: str

    class Deposit(Account):
        __event_type__ = "deposited"
        amount: int

    class Withdrawal(Account):
        __event_type__ = "withdrawn"
        amount: int

    class MethodAdded(Account):
        __event_type__ = "method_added"
        kind: str
        digits: str = ""
        country: str = ""

    class Renamed(Account):
        __event_type__ = "renamed"
        name: str

    handled: list[tuple[str, Any]] = []
    seen: dict[str | None, list[str | None]] = {"ada": [], "bob": []}
    group = HandlerGroup(default_topic=topic)

    @group.handler(event="deposited")
    async def deposit(event: Event[Deposited]) -> None:
        handled.append(("deposit", event.body))

    @group.handler(event="withdrawn")
    async def withdraw(event: Event[Withdrawn]) -> None:
        handled.append(("withdraw", event.body))

    @group.handler(event="method_added")
    async def add(event: Event[Method]) -> None:
        handled.append(("add", event.body))

    @group.handler()
    async def audit(event: Event) -> None:
        seen[event.body["account"]].append(event.type)

    listener = EventListener(broker_url, group=f"bank.{unique}")
    listener.add_handler_group(group)
    async with listener, EventEmitter(broker_url) as emitter:
        for account in ("ada", "bob"):
            await emitter.emit_many(
                [
                    Deposit(account=account, amount=5),
                    MethodAdded(account=account, kind="card", digits="42"),
                    Renamed(account=account, name="Lovelace"),
                    MethodAdded(account=account, kind="iban", country="GB"),
                    Withdrawal(account=account, amount=3),
                    MethodAdded(account=account, kind="cash"),
                ]
            )
        outcomes = listener.outcomes
        await until(lambda: outcomes.handled == 20 and outcomes.dead_lettered == 2)
    of_one = [
        ("deposit", Deposited(5)),
        ("add", Card(kind="card", digits="42")),
        ("add", Iban(kind="iban", country="GB")),
        ("withdraw", {"amount": 3}),
    ]
    assert len(handled) == 8
    assert all(handled.count(one) == 2 for one in of_one)
    types = ["deposited", "method_added", "renamed", "method_added", "withdrawn", "method_added"]
    assert seen == {"ada": types, "bob": types}, "a catch-all sees every type, in the key's order"
    assert outcomes.unhandled == 0
