"""The cases, in the order of the table."""

from ..case import Case
from . import dispatch, emit, kafka_consume

CASES: tuple[Case, ...] = (*kafka_consume.CASES, *emit.CASES, *dispatch.CASES)
