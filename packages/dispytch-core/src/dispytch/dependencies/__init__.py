"""Dependency injection: compiled and checked at start, run for every event."""

from dispytch.dependencies.app import app_scope
from dispytch.dependencies.dependency import Dependency
from dispytch.dependencies.header import Header
from dispytch.dependencies.overrides import Overrides
from dispytch.dependencies.plan import Plan, Step
from dispytch.dependencies.resolver import bind
from dispytch.dependencies.segment import TopicSegment
from dispytch.dependencies.wiring import Wiring, compile_handler

__all__ = [
    "Dependency",
    "Header",
    "Overrides",
    "Plan",
    "Step",
    "TopicSegment",
    "Wiring",
    "app_scope",
    "bind",
    "compile_handler",
]
