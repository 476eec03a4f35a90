"""A registry that misbehaves, over HTTP."""

import asyncio
import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup
from dispytch.exceptions import DecodeError, RegistryUnavailable, SchemaRefused
from dispytch.memory import MemoryBackend
from dispytch.messages import Message
from dispytch.serialization import AvroCodec, ConfluentRegistry, RegistryCodec, Schema

LONG = {"schema": '"long"'}
QUICK = {"max.retries": 0}

Answer = Callable[["Request"], Awaitable[None]]


class Request:
    """A request, and the way back."""

    def __init__(self, path: str, headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        self.path = path
        self.headers = headers
        self.writer = writer

    async def answer(self, status: int, body: bytes, *more: str, length: int | None = None) -> None:
        size = len(body) if length is None else length
        head = [f"HTTP/1.1 {status} X", f"Content-Length: {size}", *more, "", ""]
        self.writer.write("\r\n".join(head).encode() + body)
        await self.writer.drain()

    async def json(self, body: Any, status: int = 200) -> None:
        await self.answer(status, json.dumps(body).encode(), "Content-Type: application/json")


class Server:
    """Answers as the test says, and notes what it was asked and by how many connections."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.requests: list[str] = []
        self.connections = 0
        self.open = 0
        self.url = ""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines if line)
                await reader.readexactly(int(headers.get("content-length", 0)))
                path = first.split(" ")[1]
                self.requests.append(path)
                await self._answer(Request(path, headers, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def serving(answer: Answer, port: int = 0) -> AsyncIterator[Server]:
    server = Server(answer)
    tasks = set[asyncio.Task[None]]()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(server.serve(reader, writer)))

    listening = await asyncio.start_server(connected, "127.0.0.1", port)
    server.port = listening.sockets[0].getsockname()[1]
    server.url = f"http://127.0.0.1:{server.port}"
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def answers_long(request: Request) -> None:
    await request.json(LONG)


def registry(server: Server, **options: Any) -> ConfluentRegistry:
    return ConfluentRegistry(server.url, options=QUICK, **options)


async def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_all_questions_go_through_one_connection_that_ends_with_it() -> None:
    async with serving(answers_long) as server:
        asked = registry(server)
        for number in range(20):
            assert (await asked.schema(number, "AVRO")).text == '"long"'
        assert (server.connections, len(server.requests)) == (1, 20)
        assert all("identity" not in path for path in server.requests)
        await asked.close()
        await until(lambda: server.open == 0)
        await asked.schema(99, "AVRO")
        assert server.connections == 2, "opened again"
        await asked.close()
        await asked.close()
        await until(lambda: server.open == 0)


async def test_a_question_under_way_is_answered_before_the_end() -> None:
    go = asyncio.Event()

    async def slow(request: Request) -> None:
        await go.wait()
        await request.json(LONG)

    async with serving(slow) as server:
        asked = registry(server)
        question = asyncio.create_task(asked.schema(1, "AVRO"))
        await until(lambda: server.requests)
        await asked.close()
        go.set()
        assert (await question).text == '"long"'
        await until(lambda: server.open == 0)


def test_another_event_loop_has_another_client() -> None:
    async def ask(port: int, asked: ConfluentRegistry | None) -> tuple[int, ConfluentRegistry]:
        async with serving(answers_long, port) as server:
            asked = asked or registry(server)
            await asked.schema(1, "AVRO")
            assert server.connections == 1
            return server.port, asked

    port, asked = asyncio.run(ask(0, None))
    asyncio.run(ask(port, asked))


@pytest.mark.parametrize("status", [400, 402, 404, 405, 406, 409, 410, 413, 415, 422, 451, 499])
async def test_what_the_registry_refuses_is_undecodable_at_once(status: int) -> None:
    async def refuse(request: Request) -> None:
        await request.json({"error_code": status * 100, "message": "no"}, status)

    async with serving(refuse) as server:
        asked = registry(server)
        with pytest.raises(DecodeError, match=f"the id 7(: it answers {status})?$"):
            await asked.schema(7, "AVRO")
        with pytest.raises(SchemaRefused):
            await asked.register("orders-value", Schema("AVRO", '"long"', "long"))
        assert len(server.requests) == 2
        await asked.close()


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 502, 503, 504, 301, 302])
async def test_what_may_pass_is_unavailable(status: int) -> None:
    async def refuse(request: Request) -> None:
        await request.json({"error_code": status, "message": "later"}, status)

    async with serving(refuse) as server:
        asked = registry(server)
        with pytest.raises(RegistryUnavailable, match="cannot be asked"):
            await asked.schema(7, "AVRO")
        with pytest.raises(RegistryUnavailable):
            await asked.register("orders-value", Schema("AVRO", '"long"', "long"))
        await asked.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>maintenance</html>",
        b"[]",
        b"null",
        b"5",
        b"{}",
        b'{"schema": null}',
        b'{"schema": 5}',
        b'{"schema": "\\"long\\"", "references": 5}',
        b'{"schema": "\\"long\\"", "references": [{"name": "a"}]}',
        b'{"schema": "\\"long\\"", "references": [{}]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
async def test_an_answer_that_makes_no_sense_is_an_error_of_ours(body: bytes) -> None:
    async def nonsense(request: Request) -> None:
        await request.answer(200, body, "Content-Type: application/json")

    async with serving(nonsense) as server:
        asked = registry(server)
        with pytest.raises((RegistryUnavailable, DecodeError)):
            await asked.schema(7, "AVRO")
        await asked.close()


async def test_an_answer_that_is_too_long_is_not_read() -> None:
    async def endless(request: Request) -> None:
        await request.answer(200, b"", length=10_000_000_000)
        while True:
            request.writer.write(b"x" * 65_536)
            await request.writer.drain()

    async with serving(endless) as server:
        asked = registry(server, answer_max=100_000)
        tracemalloc.start()
        with pytest.raises(DecodeError, match="in an answer of more than 100000 bytes"):
            await asked.schema(7, "AVRO")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
        tracemalloc.stop()
        await asked.close()


async def test_an_answer_that_is_compressed_is_not_unpacked() -> None:
    async def bomb(request: Request) -> None:
        assert request.headers["accept-encoding"] == "identity"
        body = gzip.compress(json.dumps({"schema": "x" * 50_000_000}).encode())
        await request.answer(200, body, "Content-Encoding: gzip")

    async with serving(bomb) as server:
        asked = registry(server)
        with pytest.raises(RegistryUnavailable):
            await asked.schema(7, "AVRO")
        await asked.close()


@pytest.mark.parametrize("kind", ["silent", "dripping", "cut"])
async def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_the_timeout(
    kind: str,
) -> None:
    async def never(request: Request) -> None:
        if kind == "cut":
            await request.answer(200, b'{"schema"', length=100)
            request.writer.close()
            return
        if kind == "dripping":
            await request.answer(200, b"{", length=1_000_000)
        while True:
            if kind == "dripping":
                request.writer.write(b" ")
                await request.writer.drain()
            await asyncio.sleep(0.02)

    async with serving(never) as server:
        asked = registry(server, timeout=0.2)
        async with asyncio.timeout(5):
            with pytest.raises(RegistryUnavailable, match="cannot be asked"):
                await asked.schema(7, "AVRO")
        await asked.close()


def referring(*places: tuple[str, str, int], name: str = "x.X") -> dict[str, Any]:
    return {
        "schema": json.dumps({"type": "record", "name": name, "fields": []}),
        "references": [
            {"name": one, "subject": subject, "version": version}
            for one, subject, version in places
        ],
    }


async def test_schemas_that_refer_to_themselves_are_undecodable() -> None:
    async def loop(request: Request) -> None:
        about = {"id": 1, "subject": "a", "version": 1}
        await request.json(referring(("x.A", "a", 1)) | about)

    async with serving(loop) as server:
        asked = registry(server)
        with pytest.raises(DecodeError, match="version 1 of 'a' refers to itself"):
            await asked.schema(7, "AVRO")
        assert len(server.requests) == 2
        await asked.close()


async def test_schemas_that_refer_to_very_many_are_undecodable() -> None:
    async def chain(request: Request) -> None:
        version = int(request.path.split("?")[0].rpartition("/")[2])
        about = {"id": version, "subject": "a", "version": version}
        await request.json(referring((f"x.A{version}", "a", version + 1)) | about)

    async with serving(chain) as server:
        asked = registry(server)
        with pytest.raises((DecodeError, RegistryUnavailable)):
            await asked.schema(7, "AVRO")
        assert len(server.requests) <= 501
        await asked.close()


async def test_schemas_by_guid() -> None:
    async with serving(answers_long) as server:
        asked = registry(server)
        guid = UUID(int=7)
        assert (await asked.schema(guid, "AVRO")).text == '"long"'
        assert server.requests == [f"/schemas/guids/{guid}"]
        await asked.close()


class Count(EventBase):
    __topic__ = "counts"
    __event_type__ = "count"

    number: int


def listening(url: str, server: Server, seen: list[int]) -> EventListener:
    counts = HandlerGroup("counts")

    @counts.handler()
    async def handle(event: Event[int]) -> None:
        seen.append(event.body)

    codec = RegistryCodec(AvroCodec(), ConfluentRegistry(server.url, timeout=3, options=QUICK))
    # What waits takes its room.
    listener = EventListener(url, group="shop", codecs=[codec], concurrency=4, max_in_flight=1000)
    listener.add_handler_group(counts)
    return listener


def written(schema_id: int, number: int) -> Message:
    data = b"\0" + schema_id.to_bytes(4, "big") + bytes([number * 2])
    return Message("counts", data, f"{schema_id}/{number}".encode())


async def sent(url: str, messages: list[Message]) -> None:
    async with MemoryBackend.from_url(url).producer() as producer:
        await producer.send(messages)


async def test_one_schema_that_fails_or_is_slow_delays_no_other() -> None:
    async def answer(request: Request) -> None:
        schema_id = int(request.path.rpartition("/")[2])
        if schema_id == 1:
            await asyncio.sleep(60)
        elif schema_id == 2:
            await request.json({"error_code": 50001, "message": "broken"}, 500)
        elif schema_id == 3:
            await request.json({"schema": "no schema at all"})
        elif schema_id == 4:
            await request.json({"error_code": 40403, "message": "no"}, 404)
        else:
            await request.json(LONG)

    url, seen = f"memory://{uuid4().hex}", list[int]()
    async with serving(answer) as server:
        bad = [written(schema_id, n) for n in range(20) for schema_id in (1, 2, 3, 4)]
        async with listening(url, server, seen) as listener:
            await sent(url, bad)
            await until(lambda: listener.outcomes.dead_lettered == 40)
            await sent(url, [written(100 + n % 5, n) for n in range(50)])
            await until(lambda: len(seen) == 50, 5)
            health = await listener.health()
            assert any("events cannot be read" in one for one in health.problems)
            assert listener.outcomes.dead_lettered == 40, "the others wait"
            asked = [path.rpartition("/")[2] for path in server.requests]
            assert (asked.count("3"), asked.count("4")) == (1, 1), "asked once"
            assert asked.count("1") + asked.count("2") < 20


async def test_a_flood_of_made_up_ids_is_not_a_request_each() -> None:
    async def unknown(request: Request) -> None:
        schema_id = int(request.path.rpartition("/")[2])
        if schema_id == 7:
            await request.json(LONG)
        else:
            await request.json({"error_code": 40403, "message": "no"}, 404)

    url, seen = f"memory://{uuid4().hex}", list[int]()
    async with serving(unknown) as server:
        async with listening(url, server, seen) as listener:
            await sent(url, [written(7, 0)])
            await until(lambda: seen)
            await sent(url, [written(1000 + n % 20, n % 100) for n in range(200)])
            await until(lambda: listener.outcomes.dead_lettered == 200, 60)
            assert len(server.requests) == 21, "each id once"
            began = asyncio.get_running_loop().time()
            await sent(url, [written(100_000 + n, 0) for n in range(500)])
            await sent(url, [written(7, n) for n in range(10)])
            await until(lambda: listener.outcomes.dead_lettered == 700 and len(seen) == 11, 60)
            passed = asyncio.get_running_loop().time() - began
            assert len(server.requests) < 21 + 100 + 64 + 50 * passed + 10
        await until(lambda: server.open == 0, 10)


async def test_a_listener_and_an_emitter_close_what_they_have_opened() -> None:
    async def answer(request: Request) -> None:
        await request.json({"id": 1} | LONG)

    url = f"memory://{uuid4().hex}"
    async with serving(answer) as server:
        codec = RegistryCodec(AvroCodec(), ConfluentRegistry(server.url, options=QUICK))
        async with EventEmitter(url, codec=codec) as emitter:
            await emitter.emit(Count(number=1))
            assert server.open == 1
        await until(lambda: server.open == 0)
