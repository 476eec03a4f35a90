"""The types of bodies that the targets ask for, and bodies of these types."""

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from pydantic import BaseModel

from fuzzing.texts import CANARY


class Card(BaseModel):
    """One of two ways to pay."""

    kind: Literal["card"]
    number: str


class Cash(BaseModel):
    """The other one."""

    kind: Literal["cash"]
    amount: float


class Part(BaseModel):
    """Refers to itself."""

    name: str
    parts: list["Part"] = []


class Order(BaseModel):
    """A bit of everything."""

    id: int
    name: str
    placed: datetime | None = None
    token: UUID | None = None
    tags: list[str] = []
    weights: dict[str, float] = {}
    payment: Card | Cash | None = None
    parts: list[Part] = []
    nothing: list[None] = []


ORDER: Final = (
    f'{{"id":1,"name":"{CANARY}","placed":"2026-01-02T03:04:05Z","tags":["a","{CANARY}"],'
    f'"weights":{{"a":1.5}},"payment":{{"kind":"card","number":"{CANARY}"}},'
    f'"parts":[{{"name":"{CANARY}","parts":[]}}]}}'
).encode()
JSON_WORDS: Final = (
    b"1e999",
    b"-1e999",
    b"NaN",
    b"Infinity",
    b"9" * 400,
    b'"\\ud800"',
    b'"\\u0000"',
    b"[" * 300,
    b'{"a":' * 100,
    b"null",
    b"true",
    b"{}",
    b"[]",
    b'""',
    b"\xef\xbb\xbf",
    b"\xff",
    CANARY.encode(),
)
