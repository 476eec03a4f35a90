"""The promise of an open wire."""

import json
from typing import Annotated

from dispytch import Event, EventEmitter, HandlerGroup, Header, Tombstone
from dispytch.messages import Message
from dispytch.testing.conformance.events import EVENT_TYPE, Ledger, counted
from dispytch.testing.conformance.setting import Setting, noting
from dispytch.transport import Backend

_JSON = ("content-type", b"application/json")


class OpenWire(Setting):
    """Events travel as CloudEvents, so that other languages and tools read and write them."""

    async def test_what_is_emitted_is_a_cloud_event(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Binary mode: the attributes in the headers, the body alone as value."""
        prefix = backend.features.attribute_prefixes[0]
        (event,) = counted(topic, keys=1, each=1)
        async with self.reading(backend, group, topic) as reader:
            await self.emit(backend, [event])
            await self.received(reader, 1)
        (delivery,) = reader.deliveries
        headers = dict(delivery.headers)
        assert json.loads(delivery.value or b"") == event.model_dump()
        assert delivery.key == b"key-0"
        assert headers["content-type"] == b"application/json"
        assert headers[f"{prefix}specversion"] == b"1.0"
        assert headers[f"{prefix}type"] == EVENT_TYPE.encode()
        assert headers[f"{prefix}source"]
        assert headers[f"{prefix}id"]
        assert headers[f"{prefix}time"]

    async def test_a_tombstone_is_emitted_without_a_value(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`Tombstone`: the attributes and the key of an event, and null in the place of a body."""
        (event,) = counted(topic, keys=1, each=1)
        given = {name: getattr(event, name) for name in type(event).model_fields}
        async with self.reading(backend, group, topic) as reader:
            async with EventEmitter(backend) as emitter:
                await emitter.emit(Tombstone(type(event), **given))
            await self.received(reader, 1)
        (delivery,) = reader.deliveries
        prefix = backend.features.attribute_prefixes[0]
        assert (delivery.value, delivery.key) == (None, b"key-0")
        assert dict(delivery.headers)[f"{prefix}type"] == EVENT_TYPE.encode()

    async def test_cloud_events_of_others_are_read(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """With each of the prefixes that the protocol has, and in structured mode."""
        ledger = Ledger()
        prefixes = backend.features.attribute_prefixes
        events = counted(topic, keys=len(prefixes) + 1, each=1)
        structured = {
            "specversion": "1.0",
            "id": "structured",
            "source": "/somewhere/else",
            "type": EVENT_TYPE,
            "data": events[-1].model_dump(),
        }
        messages = [
            Message(topic, event.model_dump_json().encode(), event.key.encode(), _binary(prefix))
            for prefix, event in zip(prefixes, events, strict=False)
        ]
        messages.append(
            Message(
                topic,
                json.dumps(structured).encode(),
                events[-1].key.encode(),
                (("content-type", b"application/cloudevents+json"),),
            )
        )
        async with self.service(backend, group, topic, noting(ledger)):
            await self.send(backend, messages)
            await self.handled(ledger, len(events))
        ledger.assert_handled(events)

    async def test_attributes_are_the_same_however_they_came(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """As headers in any case, with each of the prefixes, and in the message's value."""
        seen: list[tuple[str, str, str]] = []
        required = {"specversion": "1.0", "id": "1", "source": "/s", "type": EVENT_TYPE}
        more = {"subject": "gr\u00fc\u00dfe", "comacmetenant": "7", "traceparent": "00-1-2-03"}

        async def handle(event: Event, subject: Annotated[str, Header("ce_subject")]) -> None:
            found = event.attributes
            seen.append((subject, found["comacmetenant"], found["traceparent"]))

        taking = HandlerGroup(default_topic=topic, default_event=EVENT_TYPE)
        taking.handler()(handle)
        messages = [
            Message(
                topic,
                json.dumps(required | more).encode(),
                None,
                (("Content-Type", b"Application/CloudEvents+JSON; charset=utf-8"),),
            )
        ]
        for prefix in backend.features.attribute_prefixes:
            extra = [(prefix + name, text.encode()) for name, text in more.items()]
            headers = [*_binary(prefix), *extra]
            messages.append(Message(topic, b"null", None, headers))
            shouted = [(name.upper(), value) for name, value in headers[1:]]
            messages.append(Message(topic, b"null", None, [_JSON, *shouted]))
        async with self.service(backend, group, topic, taking):
            await self.send(backend, messages)
            await self.until(lambda: len(seen) == len(messages), "the events")
        assert set(seen) == {(more["subject"], "7", "00-1-2-03")}

    async def test_bytes_and_texts_are_taken_as_they_are(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """By handlers that ask for them."""
        seen: list[object] = []
        raw, text = HandlerGroup(default_topic=topic), HandlerGroup(default_topic=topic)

        async def handle_raw(event: Event[bytes]) -> None:
            seen.append(event.body)

        async def handle_text(event: Event[str]) -> None:
            seen.append(event.body)

        raw.handler(event="raw")(handle_raw)
        text.handler(event="text")(handle_text)
        kinds = {b"raw": b"application/octet-stream", b"text": b"text/plain; charset=iso-8859-1"}
        messages = [
            Message(topic, b"\xf6\x00", None, [("type", kind), ("content-type", content_type)])
            for kind, content_type in kinds.items()
        ]
        async with self.service(backend, group, topic, raw, text):
            await self.send(backend, messages)
            await self.until(lambda: len(seen) == 2, "the events")
        assert sorted(map(repr, seen)) == [repr("\xf6\x00"), repr(b"\xf6\x00")]

    async def test_plain_json_is_read(self, backend: Backend, topic: str, group: str) -> None:
        """No envelope at all: a handler of every type gets it."""
        ledger, events = Ledger(), counted(topic, keys=3, each=3)
        plain = HandlerGroup(default_topic=topic)
        plain.handler()(noting(ledger))
        async with self.service(backend, group, topic, plain):
            await self.send(
                backend,
                [
                    Message(topic, event.model_dump_json().encode(), event.key.encode(), (_JSON,))
                    for event in events
                ],
            )
            await self.handled(ledger, len(events))
        ledger.assert_handled(events)
        ledger.assert_in_order()

    async def test_a_handler_gets_what_was_sent(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Unicode in key and headers, raw bytes in a header, 900 kB in the body."""
        seen: list[Event[str]] = []
        text, key = "\u4e16\u754c" * 150_000, "schl\u00fcssel"
        headers = (
            *_binary(backend.features.attribute_prefixes[0]),
            ("x-text", "gr\u00fc\u00dfe \U0001f30d".encode()),
            ("x-binary", bytes(range(256))),
        )

        async def handle(event: Event[str]) -> None:
            seen.append(event)

        taking = HandlerGroup(default_topic=topic, default_event=EVENT_TYPE)
        taking.handler()(handle)
        value = json.dumps(text, ensure_ascii=False).encode()
        async with self.service(backend, group, topic, taking):
            await self.send(backend, [Message(topic, value, key.encode(), headers)])
            await self.until(lambda: len(seen) == 1, "the event")
        (event,) = seen
        assert len(value) > 900_000
        assert event.body == text
        assert (event.key, event.topic, event.type, event.attempt) == (key, topic, EVENT_TYPE, 1)
        assert (event.id, event.source) == ("binary", "/somewhere")
        assert event.headers["x-text"] == "gr\u00fc\u00dfe \U0001f30d"
        assert dict(event.delivery.headers)["x-binary"] == bytes(range(256))


def _binary(prefix: str) -> tuple[tuple[str, bytes], ...]:
    attributes = {
        "specversion": b"1.0",
        "id": b"binary",
        "source": b"/somewhere",
        "type": EVENT_TYPE.encode(),
    }
    return (_JSON, *((prefix + name, value) for name, value in attributes.items()))
