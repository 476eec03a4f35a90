"""`HandlerGroup`: what handlers are registered with."""

from enum import Enum
from functools import partial
from typing import Any

import pytest

from dispytch.dependencies.callables import full_name_of
from dispytch.events import Event
from dispytch.exceptions import ConfigurationError, InvalidHandler
from dispytch.middleware import Next
from dispytch.retry import RetryPolicy
from dispytch.routing import HandlerGroup


class Kind(Enum):
    PLACED = "placed"


async def handle(event: Event[Any]) -> None: ...


async def handle_other(event: Event[Any]) -> None: ...


async def first(event: Event[Any], call_next: Next) -> Any: ...


async def second(event: Event[Any], call_next: Next) -> Any: ...


async def third(event: Event[Any], call_next: Next) -> Any: ...


def named(group: HandlerGroup) -> list[tuple[str | None, str | None]]:
    return [(one.topic, one.event) for one in group.registrations()]


def retry_of(**options: Any) -> RetryPolicy | None:
    group = HandlerGroup()
    group.handler(**({"topic": "t"} | options))(handle)
    (registration,) = group.registrations()
    return registration.retry


def test_the_function_stays_as_it_is() -> None:
    group = HandlerGroup()
    assert group.handler(topic="t")(handle) is handle
    (registration,) = group.registrations()
    assert registration.handler is handle
    assert registration.name == f"{__name__}.handle"
    assert (registration.retry, registration.dead_letter, registration.timeout) == (
        None,
        None,
        None,
    ), "as the listener has it"


def test_one_function_may_be_registered_twice() -> None:
    group = HandlerGroup()
    group.handler(topic="a")(group.handler(topic="b")(handle))
    assert named(group) == [("b", None), ("a", None)]


def test_defaults_stand_in_for_what_is_not_given() -> None:
    group = HandlerGroup("topic", "event")
    group.handler()(handle)
    group.handler(topic="own")(handle)
    group.handler(event="own")(handle)
    assert named(group) == [("topic", "event"), ("own", "event"), ("topic", "own")]


def test_without_defaults_a_topic_is_missing_and_an_event_means_all() -> None:
    group = HandlerGroup(prefix="p.")
    group.handler()(handle)
    assert named(group) == [(None, None)]


def test_the_nearest_default_counts() -> None:
    outer = HandlerGroup("outer", "outer-event")
    inner = HandlerGroup("inner")
    innermost = HandlerGroup(default_event="innermost-event")
    for group in (innermost, inner, outer):
        group.handler()(handle)
    inner.add_handler_group(innermost)
    outer.add_handler_group(inner)
    assert named(outer) == [
        ("outer", "outer-event"),
        ("inner", "outer-event"),
        ("inner", "innermost-event"),
    ]
    assert named(innermost) == [(None, "innermost-event")], "alone it has no topic"


def test_prefixes_add_up_and_reach_inherited_defaults() -> None:
    outer = HandlerGroup("default", prefix="a.")
    inner = HandlerGroup(prefix="b.")
    inner.handler(topic="own")(handle)
    inner.handler()(handle)
    outer.add_handler_group(inner)
    assert [topic for topic, _ in named(outer)] == ["a.b.own", "a.b.default"]


def test_middlewares_of_outer_groups_come_first() -> None:
    outer = HandlerGroup(middlewares=[first, second])
    inner = HandlerGroup(middlewares=[third])
    inner.handler(topic="t")(handle)
    outer.handler(topic="t")(handle)
    outer.add_handler_group(inner)
    assert [one.middlewares for one in outer.registrations()] == [
        (first, second),
        (first, second, third),
    ]


def test_a_handler_s_own_middlewares_are_within_those_of_its_groups() -> None:
    outer, inner = HandlerGroup(middlewares=[first]), HandlerGroup(middlewares=[second])
    inner.handler(topic="t", middlewares=[third, first])(handle)
    outer.add_handler_group(inner)
    (registration,) = outer.registrations()
    assert registration.middlewares == (first, second, third, first)


def test_what_cannot_be_a_middleware_is_refused_where_it_is_written() -> None:
    wrong: Any = [print, "log"]
    with pytest.raises(ConfigurationError, match="'log'"):
        HandlerGroup(middlewares=wrong)
    with pytest.raises(InvalidHandler, match=r"handle: .*'log'"):
        HandlerGroup().handler(topic="t", middlewares=wrong)(handle)


def test_the_order_is_that_of_registration_at_any_depth() -> None:
    outer, inner = HandlerGroup("o"), HandlerGroup("i")
    outer.handler(event="1")(handle)
    outer.add_handler_group(inner)
    outer.handler(event="3")(handle)
    inner.handler(event="2")(handle)  # after the group was added
    assert [event for _, event in named(outer)] == ["1", "2", "3"]


def test_a_group_may_stand_in_two_places() -> None:
    shared, left, right, top = (HandlerGroup(prefix=p) for p in ("s.", "l.", "r.", ""))
    shared.handler(topic="t")(handle)
    for side in (left, right):
        side.add_handler_group(shared)
        top.add_handler_group(side)
    assert [topic for topic, _ in named(top)] == ["l.s.t", "r.s.t"]


def test_a_group_cannot_hold_itself() -> None:
    outer, middle, inner = HandlerGroup(), HandlerGroup(), HandlerGroup()
    outer.add_handler_group(middle)
    middle.add_handler_group(inner)
    for group in (outer, middle, inner):
        with pytest.raises(InvalidHandler, match="a handler group cannot hold itself"):
            inner.add_handler_group(group)
    assert list(outer.groups()) == [middle, inner]


@pytest.mark.parametrize(
    ("retry_on", "errors"),
    [
        (None, Exception),
        (OSError, OSError),
        ((OSError, KeyError), (OSError, KeyError)),
        ([OSError, KeyError], (OSError, KeyError)),
    ],
)
def test_retries_are_a_policy_with_a_fixed_interval(retry_on: Any, errors: Any) -> None:
    policy = retry_of(retries=3, retry_on=retry_on, retry_interval=0.5)
    assert policy is not None
    assert policy.retry_on == errors
    delays = [policy.next_delay(attempt=n, error=OSError(), elapsed=0) for n in (1, 2, 3, 4)]
    assert delays == [0.5, 0.5, 0.5, None]


def test_a_long_interval_is_not_cut() -> None:
    policy = retry_of(retries=1, retry_interval=600)
    assert policy is not None
    assert policy.next_delay(attempt=1, error=OSError(), elapsed=0) == 600


def test_a_full_policy_is_taken_as_it_is() -> None:
    policy = RetryPolicy(attempts=2)
    assert retry_of(retry=policy) is policy


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"retries": -1}, "retries must be positive, not -1"),
        ({"retry_on": OSError}, "retries must be positive, not 0"),
        (
            {"retries": 1, "retry": RetryPolicy()},
            "give either retry=, or retries=, retry_on= and retry_interval=",
        ),
        (
            {"retry_on": OSError, "retry": RetryPolicy()},
            "give either retry=, or retries=, retry_on= and retry_interval=",
        ),
        ({"retry": 3}, "retry takes a RetryPolicy, not 3; or use retries="),
        (
            {"retries": 1, "retry_interval": -1},
            "RetryPolicy: delay must not be negative or infinite, not -1",
        ),
        (
            {"retries": 1, "retry_on": ["OSError"]},
            "RetryPolicy: retry_on takes exception classes, not ('OSError',)",
        ),
        ({"timeout": 0}, "timeout must be positive seconds, not 0"),
        ({"timeout": float("nan")}, "timeout must be positive seconds, not nan"),
        (
            {"dead_letter": "ignore"},
            "dead_letter must be 'halt', 'drop' or a DeadLetterTopic, not 'ignore'",
        ),
        ({"topic": 5}, "topic must be a text, not 5"),
        (
            {"event": Kind.PLACED},
            "event must be a text, not <Kind.PLACED: 'placed'>; write 'placed'",
        ),
        ({"retries": "3"}, "retries must be a whole number, not '3'"),
        ({"retries": True}, "retries must be a whole number, not True"),
        (
            {"retries": 1, "retry_on": []},
            "retry_on names no error, so that nothing would be retried",
        ),
        ({"retry_interval": 5}, "retry_interval is of no use without retries="),
        ({"timeout": "1"}, "timeout must be positive seconds, not '1'"),
    ],
)
def test_options_that_make_no_sense_name_the_handler(options: dict[str, Any], text: str) -> None:
    group = HandlerGroup()
    with pytest.raises(InvalidHandler) as caught:
        group.handler(**({"topic": "t"} | options))(handle)
    assert str(caught.value) == f"handler {__name__}.handle: {text}"
    assert list(group.registrations()) == []


def test_a_handler_without_parentheses_is_told_how() -> None:
    group: Any = HandlerGroup()
    with pytest.raises(InvalidHandler, match=r"@group\.handler\(topic="):
        group.handler(handle)


@pytest.mark.parametrize("options", [{"default_topic": 5}, {"prefix": 1}, {"default_event": Kind}])
def test_a_group_takes_texts(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="must be a text"):
        HandlerGroup(**options)


def test_only_groups_are_taken() -> None:
    group: Any = HandlerGroup()
    with pytest.raises(InvalidHandler, match="not 5"):
        group.add_handler_group(5)


def test_invalid_handlers_are_wrong_wiring() -> None:
    assert issubclass(InvalidHandler, ConfigurationError)


def test_every_callable_has_a_name() -> None:
    class Notifier:
        async def __call__(self, event: Event[Any]) -> None: ...

        async def method(self, event: Event[Any]) -> None: ...

    here = f"{__name__}.test_every_callable_has_a_name.<locals>.Notifier"
    assert full_name_of(Notifier()) == here
    assert full_name_of(Notifier().method) == f"{here}.method"
    assert full_name_of(partial(partial(handle), 1)) == f"{__name__}.handle"
