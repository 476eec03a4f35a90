"""Starting while the broker is away: written once, around the contexts of every backend."""

from dispytch.connecting.connection import Connect, Connection, checked_connect
from dispytch.connecting.consumer import WaitingConsumer, waiting_consumer
from dispytch.connecting.producer import WaitingProducer, waiting_producer

__all__ = [
    "Connect",
    "Connection",
    "WaitingConsumer",
    "WaitingProducer",
    "checked_connect",
    "waiting_consumer",
    "waiting_producer",
]
