"""The engine: from deliveries to settled outcomes.

Data goes one way: `Engine` takes batches from the consumer into `Lanes`, the `WorkerPool` takes
events from ready lanes, `Admission` reads them, `Handling` runs their handlers, and what is done is
acknowledged.
"""

from dispytch.delivery.admission import Admission
from dispytch.delivery.aftermath import Aftermath, Broker
from dispytch.delivery.batch_engine import BatchEngine
from dispytch.delivery.batch_handling import BatchHandling
from dispytch.delivery.engine import Engine
from dispytch.delivery.handling import Handling
from dispytch.delivery.keeper import Keeper, keeping
from dispytch.delivery.lanes import Lanes, Ordering
from dispytch.delivery.lookups import Lookups
from dispytch.delivery.observer import Observer
from dispytch.delivery.outcomes import Outcomes
from dispytch.delivery.partings import Partings

__all__ = [
    "Admission",
    "Aftermath",
    "BatchEngine",
    "BatchHandling",
    "Broker",
    "Engine",
    "Handling",
    "Keeper",
    "Lanes",
    "Lookups",
    "Observer",
    "Ordering",
    "Outcomes",
    "Partings",
    "keeping",
]
