"""The router, against a list that is searched from end to end."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from dispytch.events import Event
from dispytch.retry import RetryPolicy
from dispytch.routing import Route, Router
from dispytch.serialization import Bodies, Codecs

topics = st.sampled_from(["orders", "users", "order", "orders.eu", ""])
types = st.none() | st.sampled_from(["placed", "paid", "place", ""])


async def run(event: Event[Any]) -> None: ...


def route(topic: str, event: str | None) -> Route:
    return Route(
        name="handler",
        topic=topic,
        event=event,
        decode=Bodies(Codecs(), int, TypeAdapter(int)).decode,
        run=run,
        retry=RetryPolicy(),
        dead_letter="halt",
        timeout=None,
    )


routes = st.lists(st.builds(route, topics, types), max_size=20)


@given(routes, topics, types)
def test_finds_what_a_search_would_find(known: list[Route], topic: str, event: str | None) -> None:
    found = Router(iter(known)).find(topic, event)
    assert list(found) == [
        one for one in known if one.topic == topic and one.event in (None, event)
    ]


@given(routes)
def test_topics_are_each_named_once_and_sorted(known: list[Route]) -> None:
    router = Router(known)
    assert list(router.topics) == sorted({one.topic for one in known})
    assert list(router.routes) == known


def test_an_event_without_a_type_goes_to_those_who_take_all() -> None:
    takes_all, takes_one = route("orders", None), route("orders", "placed")
    router = Router([takes_one, takes_all])
    assert router.find("orders", None) == (takes_all,)
    assert router.find("orders", "placed") == (takes_one, takes_all)
    assert router.find("unknown", "placed") == ()
