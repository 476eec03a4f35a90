"""Messages on their way out, and the broker's confirms."""

from hypothesis import given
from hypothesis import strategies as st

from dispytch.rabbitmq.amqp.frames import Returned, Settled
from dispytch.rabbitmq.outgoing import Batch, Outgoing, Unconfirmed


def outgoing(batch: Batch, index: int, body: bytes = b"", header: bytes = b"") -> Outgoing:
    return Outgoing(batch, index, "t", b"t", True, header, body)


@given(st.lists(st.tuples(st.integers(0, 25), st.booleans()), max_size=40))
async def test_every_message_is_settled_once_by_confirms_in_any_order(
    confirms: list[tuple[int, bool]],
) -> None:
    unconfirmed, batch = Unconfirmed(), Batch(20)
    for index in range(20):
        unconfirmed.add(outgoing(batch, index, b"x"))
    waiting, got = set(range(1, 21)), list[int]()
    for tag, multiple in confirms:
        got += [m.index + 1 for m in unconfirmed.settle(Settled(tag, multiple, True))]
        waiting -= {t for t in waiting if t == tag or (multiple and t <= (tag or 20))}
    assert sorted(got) == sorted(set(range(1, 21)) - waiting)
    assert unconfirmed.size == unconfirmed.count == len(waiting)
    assert [m.index + 1 for m in unconfirmed.take_back()] == sorted(waiting)


async def test_a_returned_message_is_the_oldest_that_equals_it() -> None:
    unconfirmed, batch = Unconfirmed(), Batch(4)
    sent = [
        outgoing(batch, 0, b"a", b"1"),
        outgoing(batch, 1, b"a", b"2"),
        outgoing(batch, 2, b"b", b"2"),
        outgoing(batch, 3, b"a", b"2"),
    ]
    for message in sent:
        unconfirmed.add(message)
    returned = Returned(312, "NO_ROUTE", "x", "t")
    unconfirmed.give_back(returned, b"2", b"a")
    assert [message.returned for message in sent] == [None, returned, None, None]
    unconfirmed.give_back(returned, b"2", b"a")
    assert [message.returned for message in sent] == [None, returned, None, returned]
