"""The subject that a schema is registered under: what the registry compares its versions within.

Source: https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#subject-name-strategy
"""

from collections.abc import Callable

from dispytch.serialization.schemas import Schema

SubjectName = Callable[[str, Schema], str]
"""The subject for a topic and a schema."""


def topic_subject(topic: str, schema: Schema) -> str:
    """``{topic}-value``: one type of body per topic. What Confluent's serializers do by default."""
    return f"{topic}-value"


def record_subject(topic: str, schema: Schema) -> str:
    """The full name of the record or message: one line of versions, on whatever topic."""
    return schema.name


def topic_record_subject(topic: str, schema: Schema) -> str:
    """``{topic}-{name}``: several types of body on one topic, each with versions of its own."""
    return f"{topic}-{schema.name}"
