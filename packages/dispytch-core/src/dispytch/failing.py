"""Telling what a piece of code has failed of from what is meant for the whole program."""

import asyncio
from pathlib import PurePath
from typing import cast

from dispytch.exceptions import DispytchError
from dispytch.printable import described, type_name


def failure_of(error: BaseException) -> Exception:
    """What somebody's code has failed of; to be called where that is caught.

    An exception is that itself. One that is no `Exception`, such as the panic of an extension
    module or a cancellation that nobody has asked for, becomes the cause of a `DispytchError`.

    Raises:
        BaseException: the error, as it is no failure: KeyboardInterrupt, SystemExit, the
            cancellation of the task that runs, the interpreter's GeneratorExit.
    """
    if issubclass(type(error), Exception):
        return cast("Exception", error) if _tells_its_class(error) else _standing_for(error)
    if not _is_failure(error):
        raise error
    if issubclass(type(error), asyncio.CancelledError):
        failure = DispytchError("a cancellation escaped from the handler")
    else:
        failure = DispytchError(f"{described(error)} was raised, which is no Exception")
        failure.__cause__ = error
    return failure.with_traceback(error.__traceback__)


def _tells_its_class(error: BaseException) -> bool:
    """Whether `isinstance` can be asked about an error: it looks at an attribute of that."""
    try:
        return error.__class__ is type(error)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        return False


def _standing_for(error: BaseException) -> DispytchError:
    failure = DispytchError(f"{described(error)} was raised, which does not tell its class")
    failure.__cause__ = error
    return failure


def kind_and_place(error: BaseException) -> str:
    """The type of an error and the line that has raised it, without its text.

    For errors about what was read, whose text may hold that.
    """
    frames = error.__traceback__
    if frames is None:
        return type_name(error)
    while frames.tb_next is not None:
        frames = frames.tb_next
    code = frames.tb_frame.f_code
    file = PurePath(code.co_filename).name
    return f"{type_name(error)} in {code.co_name}, line {frames.tb_lineno} of {file}"


def _is_failure(error: BaseException) -> bool:
    kind = type(error)
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return False
    if not issubclass(kind, asyncio.CancelledError | GeneratorExit):
        return True
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    if issubclass(kind, GeneratorExit):
        # The interpreter throws it into what is suspended, and no task runs that.
        return task is not None
    return task is None or not task.cancelling()
