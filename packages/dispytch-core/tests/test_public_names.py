"""What ``import dispytch`` gives."""

import dispytch


def test_all_names_are_there_and_sorted() -> None:
    assert list(dispytch.__all__) == sorted(dispytch.__all__)
    for name in dispytch.__all__:
        assert getattr(dispytch, name) is not None
