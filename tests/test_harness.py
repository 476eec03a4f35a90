"""What runs the pages does notice when a page is wrong."""

import sys
import textwrap
import traceback
from pathlib import Path

import pytest

from . import stand_ins
from . import test_documentation as documentation
from .pages import Page
from .program import run

pytestmark = pytest.mark.usefixtures("no_broker")

EVENTS = """
# A page

```python
from __future__ import annotations

from pydantic import BaseModel

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup

handled = []


class Order(BaseModel):
    number: int


class OrderPlaced(EventBase):
    __topic__ = "orders"
    __event_type__ = "order_placed"

    number: int


orders = HandlerGroup()


@orders.handler(topic="orders", event="order_placed", retries=1, retry_interval=0.2)
async def place(event: Event[Order]) -> None:
    if event.attempt == 1:
        raise ValueError("not yet")
    handled.append(event.body.number)
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(tmp_path / "page.md")


def write(page: Page, *parts: str) -> None:
    page.path.write_text("\n".join(textwrap.dedent(part) for part in parts), encoding="utf-8")


async def test_a_block_that_fails_is_reported_with_the_page_s_own_line(page: Page) -> None:
    write(
        page, "# Title\n\n```python\nx = 1\n```\n\nText.\n\n```python\ny = x\nassert y == 2\n```\n"
    )
    with pytest.raises(AssertionError) as raised:
        await run(page)
    last = traceback.extract_tb(raised.value.__traceback__)[-1]
    assert (last.filename, last.lineno, last.line) == (str(page.path), 11, "assert y == 2")


async def test_a_syntax_error_is_reported_with_the_page_s_own_line(page: Page) -> None:
    write(page, "Text.\n\n```python\nx = = 1\n```\n")
    with pytest.raises(SyntaxError) as raised:
        await run(page)
    assert (raised.value.filename, raised.value.lineno) == (str(page.path), 4)


async def test_blocks_await_at_the_top_level_and_share_their_names(page: Page) -> None:
    block = "```python\nimport asyncio\nx = await asyncio.sleep(0, 1)\n```\n"
    write(
        page, block, "* In a list:\n\n  ```python\n  y = x + 1\n  ```\n", "```text\nnot Python\n```"
    )
    assert (await run(page)).y == 2


@pytest.mark.parametrize(
    "url", ["kafka://localhost:9092", "amqp://guest:guest@localhost/", "memory"]
)
async def test_listening_ends_once_everything_is_handled(page: Page, url: str) -> None:
    program = f"""
    ```python
    listener = EventListener({url!r}, group="shop")
    listener.add_handler_group(orders)
    async with EventEmitter({url!r}) as emitter:
        await emitter.emit_many(OrderPlaced(number=n) for n in range(3))
    await listener.listen()
    assert sorted(handled) == [0, 1, 2]
    ```
    """
    write(page, EVENTS, program)
    await run(page)


async def test_a_guarded_main_is_run_and_may_emit_while_it_listens(page: Page) -> None:
    program = """
    ```python
    import asyncio


    async def emit():
        async with EventEmitter("kafka://localhost:9092") as emitter:
            await emitter.emit(OrderPlaced(number=7))


    async def main():
        listener = EventListener("kafka://localhost:9092", group="shop")
        listener.add_handler_group(orders)
        await asyncio.gather(listener.listen(), emit())


    if __name__ == "__main__":
        asyncio.run(main())
    ```
    """
    write(page, EVENTS, program)
    assert (await run(page)).handled == [7]


async def test_the_tests_of_a_page_are_run_but_for_those_that_need_a_fixture(page: Page) -> None:
    program = """
    ```python
    called = []


    async def test_awaited():
        called.append("awaited")


    def test_called():
        called.append("called")


    def test_with(fixture):
        called.append("never")
    ```
    """
    write(page, program)
    assert (await run(page)).called == ["awaited", "called"]


async def test_what_stops_a_listener_reaches_the_page(page: Page) -> None:
    program = """
    ```python
    from dispytch.exceptions import EventHalted


    @orders.handler(topic="orders")
    async def fail(event: Event[Order]) -> None:
        raise ValueError("never")


    listener = EventListener("memory", group="shop", dead_letter="halt")
    listener.add_handler_group(orders)
    async with EventEmitter("memory") as emitter:
        await emitter.emit(OrderPlaced(number=7))
    try:
        await listener.listen()
    except EventHalted as error:
        halted = error
    ```
    """
    write(page, EVENTS, program)
    assert "never" in str((await run(page)).halted)


async def test_an_event_that_is_never_handled_fails_the_page(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stand_ins, "PATIENCE", 0.3)
    program = """
    ```python
    import asyncio


    @orders.handler(topic="orders")
    async def hang(event: Event[Order]) -> None:
        await asyncio.sleep(3600)


    listener = EventListener("memory", group="shop", drain_timeout=0)
    listener.add_handler_group(orders)
    async with EventEmitter("memory") as emitter:
        await emitter.emit(OrderPlaced(number=7))
    await listener.listen()
    ```
    """
    write(page, EVENTS, program)
    with pytest.raises(TimeoutError, match=r"orders.* for group 'shop'"):
        await run(page)


async def test_what_a_page_prints_is_compared_with_what_it_says(
    page: Page, capsys: pytest.CaptureFixture[str]
) -> None:
    program = "```python\nprint(1 + 1)\n```\n"
    write(page, program, "```output\n2\n```\n")
    await documentation.test_the_program_in_a_page_runs(page, capsys)
    write(page, program, "```output\n3\n```\n")
    with pytest.raises(AssertionError):
        await documentation.test_the_program_in_a_page_runs(page, capsys)


async def test_pages_see_nothing_of_each_other(page: Page) -> None:
    write(page, "```python\nx = 1\n```\n")
    module = await run(page)
    assert module.__name__ not in sys.modules
    assert (await run(page)) is not module


def test_links_to_nowhere_are_found(page: Page) -> None:
    write(
        page, "# The *end* of `it`\n\n[one](other.md) [two](#the-end-of-it) [three](https://x.org)"
    )
    assert [documentation.leads_somewhere(page, link) for link in page.links()] == [
        False,
        True,
        True,
    ]


def test_a_block_that_is_never_closed_is_found(page: Page) -> None:
    write(page, "```python\nx = 1\n")
    with pytest.raises(ValueError, match=r"page\.md:1: .*never closed"):
        page.blocks("python")


def test_tests_that_do_not_exist_are_found() -> None:
    assert documentation.has_test("tests/test_harness.py", "test_links_to_nowhere_are_found")
    assert documentation.has_test("faults/test_ledger.py", "test_all_is_well")
    assert not documentation.has_test("tests/test_harness.py", "test_links")
    assert not documentation.has_test("tests/test_nothing.py", "test_links_to_nowhere_are_found")
