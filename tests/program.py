"""Running the blocks of a page as the program that they are."""

import __future__

import ast
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .pages import Block, Page

_FUTURE = __future__.annotations.compiler_flag


async def run(page: Page) -> types.ModuleType:
    """Run a page's blocks of Python, in order, in one fresh module; then its tests, and ``main()``.

    A block may await at its top level. ``main()``, async or not, is called in the end if the page
    has an ``if __name__ == "__main__":``, in place of what stands there. Tracebacks show the page
    and its own line numbers.
    """
    with _module(page) as module:
        flags, guarded = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, False
        for block in page.programs():
            tree = _parsed(page, block)
            code = compile(tree, str(page.path), "exec", flags, dont_inherit=True)
            # As in one file, a future import counts for what follows it.
            flags |= code.co_flags & _FUTURE
            guarded |= any(map(_is_guard, tree.body))
            await _awaited(eval(code, module.__dict__))
        for test in _tests(module):
            await _awaited(test())
        if guarded:
            await _awaited(module.main())
        return module


@contextmanager
def _module(page: Page) -> Iterator[types.ModuleType]:
    # pydantic and typing look names up in the module that a class or function says it is from.
    name = re.sub(r"\W", "_", page.name.removesuffix(".md"))
    module = types.ModuleType(name, f"The program in {page.name}.")
    module.__file__ = str(page.path)
    assert name not in sys.modules, f"{name} would hide a module of that name"
    sys.modules[name] = module
    try:
        yield module
    finally:
        del sys.modules[name]


def _parsed(page: Page, block: Block) -> ast.Module:
    # Empty lines before it put every line of the block where the page has it.
    return ast.parse("\n" * (block.line - 1) + block.code, str(page.path))


def _tests(module: types.ModuleType) -> list[Callable[[], object]]:
    """The tests that a page defines, but for those that need a fixture."""
    functions = [value for name, value in vars(module).items() if name.startswith("test_")]
    return [test for test in functions if not inspect.signature(test).parameters]


def _is_guard(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "__name__ == '__main__'"


async def _awaited(result: object) -> None:
    if inspect.isawaitable(result):
        await result
