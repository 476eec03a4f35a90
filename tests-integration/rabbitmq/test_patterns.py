"""Patterns as bindings: what changes when a group's patterns do, and what is beside them."""

from contextlib import AsyncExitStack

import pytest
from rabbitmq.setting import nothing_comes, setting, take, take_all

from dispytch.exceptions import TopologyError
from dispytch.messages import Message
from dispytch.rabbitmq import RabbitMQBackend, RabbitMQEventConfig
from dispytch.topics import TopicPattern
from dispytch.transport import Consumer, Subscription, Topology


def patterns(*texts: str) -> tuple[TopicPattern, ...]:
    return tuple(pattern for text in texts if (pattern := TopicPattern.of(text)))


async def consuming(
    backend: RabbitMQBackend, stack: AsyncExitStack, topics: tuple[str, ...], *texts: str
) -> Consumer:
    wanted = patterns(*texts)
    await backend.prepare(Topology(topics=topics, group="billing", patterns=wanted))
    subscription = Subscription(group="billing", topics=topics, patterns=wanted, max_in_flight=100)
    return await stack.enter_async_context(backend.consumer(subscription, revoke))


async def revoke(_: object) -> None:
    """Core's part is none here."""


@pytest.mark.parametrize("options", ["", "?partitions=2"])
async def test_a_topic_that_a_new_pattern_takes_in_loses_nothing_and_repeats_nothing(
    url: str, options: str
) -> None:
    async with setting(url, options) as at:
        first = RabbitMQBackend.from_url(url + options)
        await first.prepare(Topology(topics=("user.new", "orders"), group="billing"))
        producer = await at.producer()
        await producer.send([Message("user.new", b"%d" % number, b"k") for number in range(5)])
        async with AsyncExitStack() as stack:
            both = await consuming(first, stack, ("user.new", "orders"), "user.*")
            late = [Message("user.new", b"%d" % number, b"k") for number in range(5, 10)]
            await producer.send(
                [*late, Message("user.gone", b"10", b"k"), Message("orders", b"11")]
            )
            got = await take_all(both, 1.0)
            await both.flush()
        assert sorted(int(one.value) for one in got) == list(range(12))
        assert {one.topic for one in got} == {"user.new", "user.gone", "orders"}
        async with AsyncExitStack() as stack:
            again = await consuming(first, stack, ("user.new", "orders"), "user.*")
            assert await nothing_comes(again)


async def test_patterns_that_come_to_overlap_lose_nothing(url: str) -> None:
    async with setting(url) as at:
        producer = await at.producer()
        async with AsyncExitStack() as stack:
            await consuming(at.backend, stack, (), "user.*")
        await producer.send([Message("user.new", b"before")])
        async with AsyncExitStack() as stack:
            both = await consuming(at.backend, stack, (), "user.*", "*.new")
            await producer.send([Message("user.new", b"both"), Message("order.new", b"one")])
            got = await take_all(both, 1.0)
            await both.flush()
        assert sorted(one.value for one in got) == [b"before", b"both", b"one"]
        await producer.send([Message("user.new", b"between")])
        async with AsyncExitStack() as stack:
            every = await consuming(at.backend, stack, (), "user.*", "*.new", "#")
            await producer.send([Message("user.new", b"after"), Message("x.y.z", b"wide")])
            got = await take_all(every, 1.0)
        assert sorted(one.value for one in got) == [b"after", b"between", b"wide"]


async def test_a_queue_from_before_may_be_deleted_while_it_is_emptied(url: str) -> None:
    async with setting(url) as at:
        await at.backend.prepare(Topology(topics=("user.new",), group="billing"))
        async with AsyncExitStack() as stack:
            consumer = await consuming(at.backend, stack, ("user.new",), "user.*")
            producer = await at.producer()
            await producer.send([Message("user.new", b"1")])
            await take(consumer, 1)
            streams = {lease.stream for lease in consumer.leases}
            assert streams == {"user.#.one:billing", "user.new:billing"}


async def test_topics_are_spelled_as_the_group_spells_them(url: str) -> None:
    async with setting(url) as at, AsyncExitStack() as stack:
        consumer = await consuming(at.backend, stack, ("order:new",), "order:{id}", "logs.#")
        producer = await at.producer()
        sent = ["order:7", "order.8", "order:new", "logs", "logs:a.b"]
        await producer.send([Message(topic, b"") for topic in sent])
        got = await take(consumer, 5)
        assert sorted(one.topic for one in got) == [
            "logs",
            "logs.a.b",
            "order:7",
            "order:8",
            "order:new",
        ]


async def test_an_empty_segment_is_a_segment(url: str) -> None:
    async with setting(url) as at, AsyncExitStack() as stack:
        consumer = await consuming(at.backend, stack, (), "a.*.b", "c.#")
        producer = await at.producer()
        await producer.send([Message("a..b", b"1"), Message("c.", b"2")])
        got = await take(consumer, 2)
        assert sorted(one.topic for one in got) == ["a..b", "c."]


async def test_a_routing_key_with_a_colon_in_a_word_has_more_segments(url: str) -> None:
    """The binding takes it; core settles what no pattern matches."""
    async with setting(url) as at, AsyncExitStack() as stack:
        consumer = await consuming(at.backend, stack, (), "user.*")
        producer = await at.producer()
        config = RabbitMQEventConfig(routing_key="user.a:b")
        await producer.send([Message("user.x", b"", config=config)])
        (got,) = await take(consumer, 1)
        assert got.topic == "user.a:b"
        assert not patterns("user.*")[0].matches(got.topic)


async def test_a_pattern_that_rabbitmq_can_have_no_topic_for_is_refused(url: str) -> None:
    async with setting(url) as at:
        with pytest.raises(TopologyError, match=r"pattern 'a\|b\.\*' matches"):
            await at.backend.prepare(
                Topology(topics=(), group="billing", patterns=patterns("a|b.*"))
            )


async def test_a_queue_that_is_missing_is_complained_of_by_check(url: str) -> None:
    async with setting(url) as at, AsyncExitStack() as stack:
        await consuming(at.backend, stack, ("orders",))
        checking = RabbitMQBackend.from_url(f"{url}?declare=check")
        with pytest.raises(TopologyError, match=r"user\.#\.one:billing"):
            await checking.prepare(
                Topology(topics=("orders",), group="billing", patterns=patterns("user.*"))
            )
