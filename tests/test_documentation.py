"""Every page of the documentation does what it says.

The blocks of Python of a page are run in order, as one program; kafka:// and amqp:// URLs mean an
in-memory broker there, and `EventListener.listen` returns once everything emitted is handled. If
the page has blocks called ``output``, they are what the program prints. Functions named ``test_*``
are run as well, but for those that need a fixture.
"""

import re
import tomllib
from typing import Any

import pytest

from .pages import ROOT, Page, pages
from .program import run

PAGES = pages()
READ = [*PAGES, *map(Page, sorted((ROOT / ".github").glob("*.md")))]
SHELL = ("sh", "bash", "shell", "console")
EXTRAS = tomllib.loads((ROOT / "packages/dispytch-core/pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
TESTS = (
    "",
    "tests-integration",
    "packages/dispytch-core/src/dispytch/testing",
    "packages/dispytch-core",
)
SCRIPTS: dict[str, Any] = tomllib.loads((ROOT / "hatch.toml").read_text())["envs"]["default"][
    "scripts"
]

every_page = pytest.mark.parametrize("page", READ, ids=lambda page: page.name)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.programs()], ids=lambda page: page.name
)
@pytest.mark.usefixtures("no_broker")
async def test_the_program_in_a_page_runs(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    await run(page)
    printed = "".join(block.code for block in page.blocks("output"))
    if printed:
        assert capsys.readouterr().out == printed


@every_page
def test_links_lead_somewhere(page: Page) -> None:
    assert [link for link in page.links() if not leads_somewhere(page, link)] == []


@every_page
def test_commands_exist(page: Page) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    commands = "\n".join(block.code for block in page.blocks(*SHELL))
    assert set(re.findall(r"\bmake ([a-z]+)", commands)) <= set(targets)
    assert set(re.findall(r"\bhatch run ([a-z]+)(?![\w.:])", commands)) <= set(SCRIPTS)


@every_page
def test_what_is_installed_exists(page: Page) -> None:
    packages = {path.name for path in (ROOT / "packages").iterdir()}
    commands = "\n".join(block.code for block in page.blocks(*SHELL))
    for name, extras in re.findall(r"(dispytch-[a-z]+)(?:\[([a-z,]+)\])?", commands):
        assert name in packages
        assert set(filter(None, extras.split(","))) <= (EXTRAS.keys() if "core" in name else set())


@every_page
def test_tests_that_are_named_exist(page: Page) -> None:
    named = re.findall(r"`([\w/-]+\.py)::(test_\w+)`", "\n".join(page.prose()))
    assert [f"{path}::{name}" for path, name in named if not has_test(path, name)] == []


def has_test(path: str, name: str) -> bool:
    files = (ROOT / folder / path for folder in TESTS)
    return any(f"def {name}(" in file.read_text() for file in files if file.exists())


def leads_somewhere(page: Page, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    path, _, anchor = link.partition("#")
    target = page.path.parent / path if path else page.path
    return target.exists() and (not anchor or anchor in Page(target).anchors())
