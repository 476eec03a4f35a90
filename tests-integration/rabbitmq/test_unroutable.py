"""What becomes of events that nobody takes yet."""

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit

import pytest
from brokers.broker import Broker
from brokers.local_rabbitmq import LocalRabbitMQ
from rabbitmq.setting import delete_queue, take, take_all, until, values

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup, RetryPolicy
from dispytch.exceptions import SendError, Unroutable
from dispytch.messages import Delivery, Message
from dispytch.rabbitmq import RabbitMQBackend, RabbitMQEventConfig, keeper, keeping
from dispytch.rabbitmq.takeover import WINDOW
from dispytch.rabbitmq.topology import kept_queue
from dispytch.topics import TopicPattern
from dispytch.transport import Subscription, Topology

PATIENCE = 60.0


class Scene:
    """A topic of which nobody has heard, and those who come to it."""

    def __init__(self, url: str, unique: str, options: str = "") -> None:
        self.url = url
        self.exchange = f"x.{unique}"
        self.topic = f"orders.{unique}"
        self.group = f"g.{unique}"
        self.backend = self.another(options)

    def another(self, options: str = "") -> RabbitMQBackend:
        return RabbitMQBackend.from_url(f"{self.url}?exchange={self.exchange}{options}")

    def messages(self, numbers: Sequence[int], topic: str | None = None) -> list[Message]:
        keys = [f"k{number % 3}".encode() for number in numbers]
        return [
            Message(topic or self.topic, b"%d" % number, key)
            for number, key in zip(numbers, keys, strict=True)
        ]

    async def taken(
        self,
        count: int,
        *,
        backend: RabbitMQBackend | None = None,
        group: str | None = None,
        patterns: tuple[str, ...] = (),
    ) -> list[Delivery]:
        """What a group gets that comes now."""
        backend = backend or self.backend
        shapes = tuple(shape for text in patterns if (shape := TopicPattern.of(text)))
        topics = () if patterns else (self.topic,)
        name = group or self.group
        await backend.prepare(Topology(topics=topics, group=name, patterns=shapes))
        subscription = Subscription(
            group=name, topics=topics, patterns=shapes, max_in_flight=50_000
        )
        async with backend.consumer(subscription, _nothing_to_drain) as consumer:
            got = await take(consumer, count) if count else []
            await asyncio.sleep(0.2)
            assert not sum((await consumer.lag()).values())
            return got


async def _nothing_to_drain(_: object) -> None:
    """At once."""


@pytest.fixture
def scene(rabbitmq: Broker, unique: str) -> Scene:
    return Scene(rabbitmq.url, unique)


async def test_the_first_group_gets_what_was_kept_in_order_and_before_what_is_new(
    scene: Scene,
) -> None:
    async with asyncio.timeout(PATIENCE), scene.backend.producer() as producer:
        for number in range(5):
            await producer.send(scene.messages([number]))
        await producer.send(scene.messages(range(5, 1500)))
        await scene.backend.prepare(Topology(topics=(scene.topic,), group=scene.group))
        await producer.send(scene.messages(range(1500, 1600)))
        got = await scene.taken(1600)
        assert values(got) == list(range(1600))
        assert {one.topic for one in got} == {scene.topic}
        assert [one.key for one in got[:3]] == [b"k0", b"k1", b"k2"]
        assert await scene.taken(0, group=f"{scene.group}.second") == []


async def test_a_group_with_partitions_gets_them_too(scene: Scene) -> None:
    backend = scene.another("&partitions=4")
    async with asyncio.timeout(PATIENCE), scene.backend.producer() as producer:
        await producer.send(scene.messages(range(300)))
        got = await scene.taken(300, backend=backend)
    assert sorted(values(got)) == list(range(300))
    for key in (b"k0", b"k1", b"k2"):
        own = [int(one.value or b"") for one in got if one.key == key]
        assert own == sorted(own)


async def test_a_group_with_a_pattern_gets_those_of_all_topics_it_matches(scene: Scene) -> None:
    topics = [f"{scene.topic}.{name}" for name in "abc"]
    async with asyncio.timeout(PATIENCE), scene.backend.producer() as producer:
        for topic in topics:
            await producer.send(scene.messages(range(20), topic))
        await producer.send(scene.messages(range(3), "elsewhere"))
        got = await scene.taken(60, patterns=(f"{scene.topic}.*",))
    for topic in topics:
        assert values([one for one in got if one.topic == topic]) == list(range(20))


@pytest.mark.parametrize("options", ["", "&partitions=3"])
async def test_no_event_is_lost_or_overtaken_while_the_group_comes(
    scene: Scene, options: str
) -> None:
    group_backend = scene.another(options)
    async with asyncio.timeout(PATIENCE), scene.backend.producer() as one:
        async with scene.backend.producer() as other:
            number, coming = 0, None
            while coming is None or not coming.done():
                await asyncio.gather(
                    one.send(scene.messages(range(number, number + 7))),
                    other.send(scene.messages([number], "elsewhere")),
                )
                number += 7
                if coming is None and number > 100:
                    topology = Topology(topics=(scene.topic,), group=scene.group)
                    coming = asyncio.create_task(group_backend.prepare(topology))
            await coming
            await one.send(scene.messages(range(number, number + 7)))
        got = await scene.taken(number + 7, backend=group_backend)
    for key in (b"k0", b"k1", b"k2"):
        own = [int(delivery.value or b"") for delivery in got if delivery.key == key]
        assert own == [n for n in range(number + 7) if b"k%d" % (n % 3) == key]


async def test_several_emitters_and_members_at_once_lose_and_repeat_nothing(scene: Scene) -> None:
    async def emit(base: int) -> None:
        async with scene.another().producer() as producer:
            for number in range(base, base + 60):
                await producer.send(scene.messages([number]))

    async def come(after: float) -> None:
        await asyncio.sleep(after)
        await scene.another().prepare(Topology(topics=(scene.topic,), group=scene.group))

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(
            *(emit(base) for base in (0, 60, 120)), come(0.2), come(0.25), come(0.3)
        )
        got = await scene.taken(180)
    assert sorted(values(got)) == list(range(180))
    for base in (0, 60, 120):
        own = [number for number in values(got) if base <= number < base + 60]
        assert own == sorted(own)


async def test_a_charge_is_handled_though_nobody_takes_what_its_handler_emits(
    rabbitmq: Broker, unique: str
) -> None:
    class Charged(EventBase):
        __topic__ = f"charged.{unique}"
        __event_type__ = "charged"

        number: int

    group = HandlerGroup()
    charges: list[int] = []

    @group.handler(topic=f"pay.{unique}", event="pay", retry=RetryPolicy(attempts=2, delay=0.01))
    async def charge(event: Event, emitter: EventEmitter) -> None:
        charges.append(1)
        await emitter.emit(Charged(number=len(charges)))

    class Pay(EventBase):
        __topic__ = f"pay.{unique}"
        __event_type__ = "pay"

    listener = EventListener(rabbitmq.url, group=f"g.{unique}")
    listener.add_handler_group(group)
    async with asyncio.timeout(PATIENCE), EventEmitter(rabbitmq.url) as emitter, listener:
        await emitter.emit_many([Pay() for _ in range(30)])
        await until(lambda: listener.outcomes.handled == 30)
        assert (len(charges), listener.outcomes.dead_lettered) == (30, 0)

    seen: list[int] = []
    late = EventListener(rabbitmq.url, group=f"late.{unique}")
    others = HandlerGroup()

    @others.handler(topic=Charged.__topic__, event="charged")
    async def take_it(event: Event[Charged]) -> None:
        seen.append(event.body.number)

    late.add_handler_group(others)
    async with asyncio.timeout(PATIENCE), late:
        await until(lambda: len(seen) == 30)
    assert sorted(seen) == list(range(1, 31))


async def test_requests_and_what_is_sent_on_are_still_errors(scene: Scene) -> None:
    class Ask(EventBase):
        __topic__ = scene.topic
        __event_type__ = "ask"

    async with asyncio.timeout(PATIENCE), EventEmitter(scene.backend) as emitter:
        with pytest.raises(Unroutable):
            await emitter.request(Ask(), reply=int, timeout=PATIENCE)


async def test_an_event_class_decides_for_itself(scene: Scene) -> None:
    class Wanted(EventBase):
        __topic__ = scene.topic
        __event_type__ = "wanted"
        __backend_config__ = RabbitMQEventConfig(mandatory=True)

    class Spare(EventBase):
        __topic__ = scene.topic
        __event_type__ = "spare"
        __backend_config__ = RabbitMQEventConfig(mandatory=False)

    async with asyncio.timeout(PATIENCE), EventEmitter(scene.backend) as emitter:
        with pytest.raises(Unroutable):
            await emitter.emit(Wanted())
        await emitter.emit(Spare())
        assert await scene.taken(0) == []


@pytest.mark.parametrize("options", ["&unroutable=error", "&declare=check"])
async def test_with_error_and_where_nothing_may_be_made_it_is_refused(
    scene: Scene, options: str
) -> None:
    await scene.backend.prepare(Topology(topics=("something",)))
    backend = scene.another(options)

    class Placed(EventBase):
        __topic__ = scene.topic
        __event_type__ = "placed"

    assert backend.features.unroutable == "error"
    async with asyncio.timeout(PATIENCE), EventEmitter(backend) as emitter:
        with pytest.raises(Unroutable, match="start a listener"):
            await emitter.emit(Placed())


async def test_with_drop_it_is_gone(scene: Scene) -> None:
    async with asyncio.timeout(PATIENCE), scene.another("&unroutable=drop").producer() as producer:
        await producer.send(scene.messages(range(10)))
        assert await scene.taken(0) == []


async def test_more_than_is_kept_is_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "KEPT_EVENTS", 50)
    async with asyncio.timeout(PATIENCE), scene.backend.producer() as producer:
        number = -1
        with pytest.raises(SendError) as caught:  # noqa: PT012
            while True:
                number += 1
                await producer.send(scene.messages([number]))
        assert isinstance(caught.value.failures[0], Unroutable)
        assert "is full: start a listener" in str(caught.value)
        assert 50 <= number <= 60
        assert values(await scene.taken(number)) == list(range(number))
        await producer.send(scene.messages([number]))


async def test_more_topics_than_events_are_kept_for_are_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "KEPT_TOPICS", 5)
    async with asyncio.timeout(PATIENCE), scene.backend.producer() as producer:
        number = -1
        with pytest.raises(SendError, match="no more than") as caught:  # noqa: PT012
            while True:
                number += 1
                await producer.send(scene.messages([1], f"{scene.topic}.{number}"))
        assert isinstance(caught.value.failures[0], Unroutable)
        assert 5 <= number <= 8
        await producer.send(scene.messages([2], f"{scene.topic}.1"))
        assert len(await scene.taken(number + 1, patterns=(f"{scene.topic}.*",))) == number + 1
        await producer.send(scene.messages([1], f"{scene.topic}.elsewhere.50"))


async def test_events_of_one_message_id_are_all_kept(scene: Scene) -> None:
    config = RabbitMQEventConfig(message_id="the same")
    messages = scene.messages(range(20))
    for message in messages:
        message.config = config
    async with asyncio.timeout(PATIENCE), scene.backend.producer() as producer:
        await producer.send(messages)
        assert values(await scene.taken(20)) == list(range(20))
        await producer.send(messages)


async def test_what_is_kept_survives_a_move_that_is_cut_short(
    node: LocalRabbitMQ, url: str, unique: str
) -> None:
    scene = Scene(url, unique)
    async with asyncio.timeout(2 * PATIENCE), scene.backend.producer() as producer:
        await producer.send(scene.messages(range(3000)))
        topology = Topology(topics=(scene.topic,), group=scene.group)
        for _ in range(5):
            coming = asyncio.create_task(scene.another().prepare(topology))
            await asyncio.sleep(0.25)
            await asyncio.to_thread(node.close_connections)
            await asyncio.gather(coming, return_exceptions=True)
        await scene.backend.prepare(topology)
        subscription = Subscription(group=scene.group, topics=(scene.topic,), max_in_flight=10_000)
        async with scene.backend.consumer(subscription, _nothing_to_drain) as consumer:
            got = values(await take_all(consumer, 1.0))
    assert list(dict.fromkeys(got)) == list(range(3000)), "in order, and none is lost"
    assert len(got) <= 3000 + 5 * WINDOW, "each cut repeats what was on its way"


async def test_a_stop_while_events_are_moved_leaves_no_duplicate(url: str, unique: str) -> None:
    scene = Scene(url, unique)
    async with asyncio.timeout(2 * PATIENCE), scene.backend.producer() as producer:
        await producer.send(scene.messages(range(3000)))
        topology = Topology(topics=(scene.topic,), group=scene.group)
        for seconds in (0.04, 0.06, 0.08, 0.1, 0.12, 0.15):
            coming = asyncio.create_task(scene.another().prepare(topology))
            await asyncio.sleep(seconds)
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        await scene.backend.prepare(topology)
        subscription = Subscription(group=scene.group, topics=(scene.topic,), max_in_flight=10_000)
        async with scene.backend.consumer(subscription, _nothing_to_drain) as consumer:
            got = values(await take_all(consumer, 1.0))
    assert got == list(range(3000))


async def test_a_user_who_may_not_declare_is_told_why(
    node: LocalRabbitMQ, url: str, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    vhost = urlsplit(url).path[1:]
    scene = Scene(url, unique)
    node.eval(
        f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{vhost}">>, '
        '<<"^(?!.*#.(kept|keeping|moving)).*">>, <<".*">>, <<".*">>, <<"tests">>).'
    )
    async with asyncio.timeout(PATIENCE), scene.backend.producer() as producer:
        with pytest.raises(SendError, match="cannot be kept") as caught:
            await producer.send(scene.messages(range(3)))
        for error in caught.value.failures.values():
            assert isinstance(error, Unroutable)
            assert "has not the permission" in str(error)
        await scene.backend.prepare(Topology(topics=(scene.topic,), group=scene.group))
        assert "stay where they are kept" in caplog.text
        await producer.send(scene.messages(range(3)))
        assert values(await scene.taken(3)) == [0, 1, 2]


async def test_a_queue_that_was_deleted_comes_back_with_what_was_kept_meanwhile(
    node: LocalRabbitMQ, url: str, unique: str
) -> None:
    scene = Scene(url, unique)
    topology = Topology(topics=(scene.topic,), group=scene.group)
    await scene.backend.prepare(topology)
    subscription = Subscription(group=scene.group, topics=(scene.topic,), max_in_flight=1000)
    async with asyncio.timeout(PATIENCE), scene.backend.producer() as producer:
        async with scene.backend.consumer(subscription, _nothing_to_drain) as consumer:
            deleting = asyncio.create_task(delete_queue(node, url))
            for number in range(300):
                await producer.send(scene.messages([number]))
            await deleting
            await producer.send(scene.messages([300]))
            got: list[int] = []
            while 300 not in got:
                got += values(await take(consumer, 1))
        assert got == sorted(got)
        lost = set(range(301)) - set(got)
        assert lost == set(range(len(lost))) or not lost, "only what was in the deleted queue"


def test_the_queue_that_keeps_a_topic_is_nobody_elses() -> None:
    assert kept_queue("dispytch", "orders") == "dispytch.#.kept:orders"
