"""Dependency injection: compiled and checked at start, run for every event."""

from dispytch.dependencies.dependency import Dependency
from dispytch.dependencies.graph import compile_handler
from dispytch.dependencies.plan import Plan
from dispytch.dependencies.resolver import bind

__all__ = ["Dependency", "Plan", "bind", "compile_handler"]
