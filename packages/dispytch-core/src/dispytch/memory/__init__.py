"""The in-memory backend: topics, partitions and consumer groups within one process.

For tests, demos and programs that need no broker. It keeps the promises of any other backend,
but nothing outlives the process.
"""

from dispytch.memory.backend import MemoryBackend
from dispytch.memory.broker import MemoryBroker
from dispytch.memory.config import MemoryConfig

__all__ = ["MemoryBackend", "MemoryBroker", "MemoryConfig"]
