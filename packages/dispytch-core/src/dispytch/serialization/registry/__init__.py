"""Schema registries, and bodies in the format that Confluent's serializers have given them."""

from dispytch.serialization.registry.codec import RegistryCodec
from dispytch.serialization.registry.confluent import ConfluentRegistry
from dispytch.serialization.registry.memory import MemoryRegistry
from dispytch.serialization.registry.registry import SchemaRegistry
from dispytch.serialization.registry.subjects import (
    SubjectName,
    record_subject,
    topic_record_subject,
    topic_subject,
)

__all__ = [
    "ConfluentRegistry",
    "MemoryRegistry",
    "RegistryCodec",
    "SchemaRegistry",
    "SubjectName",
    "record_subject",
    "topic_record_subject",
    "topic_subject",
]
