"""Hostile messages, drawn by a seed: none of them is an event that the service could handle."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from dispytch.messages import Header, Message

CANARY: Final = "CaNaRy-0af3"
"""Stands among the values of every body, and must never be seen outside of one."""

ID: Final = "soak-id"
"""The header by which a message is known again among the dead letters."""

_FORGED: Final = {
    "dispytch-original-topic": (b"somewhere", b"\xff\xfe", b"x" * 300, b""),
    "dispytch-handler": (b"somebody.else", b"\x1b[31m", b"x" * 5000),
    "dispytch-handler-topic": (b"somewhere", b"*.#"),
    "dispytch-attempt": (b"-7", b"0", b"9" * 400, b"x"),
    "dispytch-failures": (b"-1000000", b"9" * 30, b"1e9"),
    "dispytch-first-attempt": (b"-" + b"9" * 30, b"99999999999999"),
    "dispytch-due": (b"9" * 400, b"99999999999999", b"-1", b""),
    "dispytch-reply-to": (b"a topic that nobody has made", b"x" * 300),
    "dispytch-correlation-id": (b"\xff" * 100, b"1"),
    "dispytch-dead-letter-id": (b"1",),
    "dispytch-failed-at": (b"yesterday",),
    "dispytch-attempts": (b"many",),
    "dispytch-replay-turn": (b"1",),
}


def number_of(message: Message) -> int:
    """The id of a hostile message."""
    return int(dict(message.headers)[ID] or b"")


@dataclass(frozen=True, slots=True)
class Names:
    """Where hostile messages are sent: the topic of the service, and the group's own."""

    topic: str
    retry: str


class Hostile:
    """Draws messages, each with an id of its own.

    prefix: of the headers of CloudEvents on this broker.
    """

    def __init__(self, names: Names, prefix: str, seed: int) -> None:
        self._names = names
        self._prefix = prefix
        self._draw = random.Random(seed)
        self._kinds: list[Callable[[], Message]] = [
            self._no_json,
            self._wrong_type,
            self._many_wrong,
            self._flipped,
            self._structured,
            self._attributes,
            self._forged,
            self._in_retry,
            self._null,
            self._deep,
        ]
        self.sent = 0
        self.refused: set[int] = set()
        """Those that the broker's protocol cannot carry."""

    def messages(self, count: int) -> Iterator[Message]:
        """The next so many."""
        for _ in range(count):
            message = self._draw.choice(self._kinds)()
            self.sent += 1
            message.headers = [*message.headers, (ID, b"%d" % self.sent)]
            # A key may be any bytes, and the order of hostile ones is nobody's concern.
            # What has one key is dead-lettered one after the other, so there are many of them.
            own = b"\xff%d" % self._draw.randrange(40)
            message.key = self._draw.choice([None, own, own, own, b"key-1", b"k" * 200])
            yield message

    def _no_json(self) -> Message:
        bad = self._draw.choice([b"\xff\xfe", b"{", b"\xef\xbb\xbf{", b"\x1f\x8b\x08", b"NaN,"])
        return self._step(bad + CANARY.encode() + self._draw.randbytes(20))

    def _wrong_type(self) -> Message:
        values = [CANARY, {"a": CANARY}, [CANARY], None, 1e300, "\x1b[31m" + CANARY]
        body = {"topic": 1, "key": self._draw.choice(values), "number": CANARY}
        return self._step(json.dumps(body).encode())

    def _many_wrong(self) -> Message:
        body = {"topic": "t", "key": "k", "number": [CANARY] * self._draw.randrange(20_000)}
        return self._step(json.dumps(body).encode())

    def _flipped(self) -> Message:
        body = bytearray(json.dumps({"topic": "t", "key": "k", "number": CANARY}).encode())
        for _ in range(self._draw.randrange(1, 4)):
            body[self._draw.randrange(len(body))] = self._draw.randrange(256)
        return self._step(bytes(body[: self._draw.randrange(1, len(body))]))

    def _structured(self) -> Message:
        extra = self._draw.choice(
            ['"dataversion":1e999', '"id":{}', '"time":"no"', '"data_base64":"?"', '"a":1']
        )
        text = f'{{"specversion":"1.0","source":"s","type":"step",{extra},"data":"{CANARY}"}}'
        return self._plain(text.encode(), [("content-type", b"application/cloudevents+json")])

    def _attributes(self) -> Message:
        value = self._draw.choice([b"\xff", b"9" * 5000, b"\x00\x1b[0m", b"0.3", b"-1"])
        headers = [*self._attributes_of("step")]
        spoilt = self._draw.randrange(len(headers))
        headers[spoilt] = (headers[spoilt][0], value)
        return self._plain(json.dumps({"number": CANARY}).encode(), headers)

    def _forged(self) -> Message:
        message = self._wrong_type()
        message.headers = [*message.headers, *self._forgeries()]
        return message

    def _in_retry(self) -> Message:
        message = self._forged()
        message.topic = self._names.retry
        return message

    def _null(self) -> Message:
        return self._step(self._draw.choice([b"", b"null", b"[]", b"0"]))

    def _deep(self) -> Message:
        depth = self._draw.choice([300, 5_000])
        return self._step(b'{"number":' + b"[" * depth + b'"' + CANARY.encode() + b'"')

    def _forgeries(self) -> list[Header]:
        names = self._draw.sample(sorted(_FORGED), self._draw.randrange(1, 5))
        return [(name, self._draw.choice(_FORGED[name])) for name in names]

    def _step(self, value: bytes) -> Message:
        return self._plain(value, list(self._attributes_of("step")))

    def _attributes_of(self, kind: str) -> Iterator[Header]:
        yield "content-type", b"application/json"
        attributes: dict[str, Any] = {"id": "1", "source": "s", "specversion": "1.0", "type": kind}
        for name, value in attributes.items():
            yield self._prefix + name, value.encode()

    def _plain(self, value: bytes, headers: list[Header]) -> Message:
        return Message(self._names.topic, value, None, headers)
