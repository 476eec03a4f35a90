"""The cases, in the order of the table."""

from ..case import Case
from . import (
    dispatch,
    emit,
    growth,
    handling,
    idle,
    imports,
    kafka_consume,
    latency,
    rabbitmq_consume,
    scale,
)

CASES: tuple[Case, ...] = (
    *kafka_consume.CASES,
    *rabbitmq_consume.CASES,
    *emit.CASES,
    *handling.CASES,
    *latency.CASES,
    *dispatch.CASES,
    *idle.CASES,
    *growth.CASES,
    *imports.CASES,
    *scale.CASES,
)
