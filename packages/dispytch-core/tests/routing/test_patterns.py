"""Routes by patterns, beside those by name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispytch.dead_letters import ORIGINAL_TOPIC
from dispytch.events import Event
from dispytch.messages import Delivery, Headers, Lease
from dispytch.retry import RetryPolicy
from dispytch.routing import Route, Router
from dispytch.routing import router as router_module
from dispytch.topics import TopicPattern

NAMES = ["user.created", "user", "user.created.now", "logs", "logs.a.b", "order:42:events"]
topics = st.sampled_from([*NAMES, "other", "user:created", ""])
written = st.sampled_from(
    [*NAMES, "user.*", "*.created", "user.{id}", "logs.#", "#", "order.{id}.events", "*"]
)
types = st.none() | st.sampled_from(["placed", "paid"])


async def run(event: Event[Any]) -> None: ...


def route(topic: str, event: str | None = None, identity: object = None) -> Route:
    return Route(
        name="handler",
        topic=topic,
        event=event,
        decode=lambda envelope: None,
        run=run,
        retry=RetryPolicy(),
        dead_letter="halt",
        timeout=None,
        identity=object() if identity is None else identity,
    )


def delivery(topic: str, headers: Headers = ()) -> Delivery:
    return Delivery(topic, b"", None, headers, lease=Lease(topic, topic), position=1)


def takes(one: Route, topic: str, event: str | None) -> bool:
    pattern = TopicPattern.of(one.topic)
    by_topic = one.topic == topic if pattern is None else pattern.matches(topic)
    return by_topic and one.event in (None, event)


@given(st.lists(st.builds(route, written, types), max_size=12), topics, types)
def test_finds_what_a_search_would_find(known: list[Route], topic: str, event: str | None) -> None:
    router = Router(known)
    expected = [one for one in known if takes(one, topic, event)]
    for _ in range(2):
        assert list(router.find(topic, event)) == expected
        table = router.table(delivery(topic))
        assert list(table.find(event) if table else ()) == expected


@given(st.lists(st.builds(route, written, types, st.integers(0, 3)), max_size=12), topics, types)
def test_each_handler_is_found_but_once_and_by_its_most_specific_registration(
    known: list[Route], topic: str, event: str | None
) -> None:
    found = Router(known).find(topic, event)
    taking = [one for one in known if takes(one, topic, event)]
    assert len({one.identity for one in found}) == len(found)
    assert {one.identity for one in found} == {one.identity for one in taking}
    for one in found:
        if one.pattern is not None:
            assert all(
                other.pattern is not None and one.pattern.specificity <= other.pattern.specificity
                for other in taking
                if other.identity == one.identity
            )


def test_of_one_topic_the_registration_for_the_type_is_more_specific() -> None:
    every, placed = route("orders", None, 1), route("orders", "placed", 1)
    router = Router([every, placed])
    assert router.find("orders", "placed") == (placed,)
    assert router.find("orders", "paid") == (every,)


def test_what_no_pattern_matches_is_nobody_s() -> None:
    router = Router([route("user.*"), route("orders")])
    assert router.table(delivery("logs.a")) is None
    assert router.find("logs.a", None) == ()


def test_patterns_of_one_shape_are_subscribed_once() -> None:
    router = Router([route("user.{id}"), route("user:*"), route("orders"), route("#")])
    assert [pattern.text for pattern in router.patterns] == ["#", "user.{id}"]
    assert router.topics == ("orders",)


def test_the_name_for_dead_letters_is_that_of_the_most_specific_route() -> None:
    router = Router([route("#"), route("user.*"), route("user.{id}.x"), route("user.created")])
    for topic, name in [
        ("user.created", "user.created"),
        ("user.deleted", "user._"),
        ("user.1.x", "user._.x"),
        ("logs", "__"),
    ]:
        table = router.table(delivery(topic))
        assert table is not None
        assert table.topic_name == name


def test_what_was_sent_on_is_no_event_of_a_pattern_that_had_it_before() -> None:
    everything, dead, named = route("user.#"), route("*.*.*.dead"), route("user.1.billing.dead")
    router = Router([everything, dead, named])
    letter = delivery("user.1.billing.dead", [("x", b""), (ORIGINAL_TOPIC, b"user.1")])
    table = router.table(letter)
    assert table is not None
    assert table.find(None) == (dead, named)
    only = Router([everything])
    assert only.table(letter) is None
    put_back = delivery("user.1", [(ORIGINAL_TOPIC, b"user:1")])
    table = only.table(put_back)
    assert table is not None
    assert table.find(None) == (everything,)


def test_a_flood_of_topics_is_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router_module, "REMEMBERED", 10)
    router = Router([route("user.*"), route("orders")])
    for number in range(100):
        assert len(router.find(f"user.{number}", None)) == 1
        assert router.find(f"other.{number}.x", None) == ()
        assert len(router._known) <= 12
    assert len(router.find("orders", None)) == 1
