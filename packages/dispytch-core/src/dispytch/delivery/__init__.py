"""The engine: from deliveries to settled outcomes.

Data goes one way: `Engine` takes batches from the consumer into `Lanes`, the `WorkerPool` takes
events from ready lanes, `Handling` runs their handlers, and what is done is acknowledged.
"""

from dispytch.delivery.engine import Engine
from dispytch.delivery.handling import Handling
from dispytch.delivery.lanes import Ordering
from dispytch.delivery.outcomes import Outcomes

__all__ = ["Engine", "Handling", "Ordering", "Outcomes"]
