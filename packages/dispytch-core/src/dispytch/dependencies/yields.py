"""Generators that would yield twice, found in the source."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import FunctionType

_WITH_BLOCKS = (ast.stmt, ast.excepthandler, ast.match_case)
_INNER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def second_yield(function: FunctionType) -> int | None:
    """The line of a yield that follows another one in the same block; None if there is none.

    Only what is certain counts: yields in two branches are two ways of yielding once, and a
    ``return`` between two yields parts them. The rest shows when the generator runs, as does a
    function whose source is not at hand.
    """
    try:
        lines, start = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return None
    definition = tree.body[0]
    if not isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None
    found = (_second(block) for block in _blocks(definition))
    return next((line + max(start, 1) - 1 for line in found if line is not None), None)


def _second(block: list[ast.stmt]) -> int | None:
    yielded = False
    for statement in block:
        if isinstance(statement, (ast.Return, ast.Raise, ast.Break, ast.Continue)):
            return None
        if _yields(statement):
            if yielded:
                return statement.lineno
            yielded = True
    return None


def _yields(statement: ast.stmt) -> bool:
    """Whether it is ``yield x`` or ``y = yield x``."""
    return isinstance(statement, (ast.Expr, ast.Assign, ast.AnnAssign)) and isinstance(
        statement.value, ast.Yield
    )


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """Every block of a function, at any depth, but not those of functions within."""
    for name in ("body", "orelse", "finalbody"):
        block: list[ast.stmt] = getattr(node, name, [])
        yield block
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _WITH_BLOCKS) and not isinstance(child, _INNER):
            yield from _blocks(child)
