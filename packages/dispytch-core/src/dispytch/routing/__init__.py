"""From an event's topic and type to the handlers that take it."""

from dispytch.routing.answering import Answering
from dispytch.routing.batch_limits import BatchLimits
from dispytch.routing.group import HandlerGroup
from dispytch.routing.planned import Defaults, PlannedRoute, plan_routes
from dispytch.routing.registration import Handler
from dispytch.routing.route import Batching, Route
from dispytch.routing.router import Router
from dispytch.routing.table import Table

__all__ = [
    "Answering",
    "BatchLimits",
    "Batching",
    "Defaults",
    "Handler",
    "HandlerGroup",
    "PlannedRoute",
    "Route",
    "Router",
    "Table",
    "plan_routes",
]
