"""Distributions that a format needs, and core does not."""

from importlib import import_module
from typing import Any

from dispytch.exceptions import ConfigurationError


def required(module: str, *, extra: str, user: str) -> Any:
    """The module.

    Raises:
        ConfigurationError: it cannot be imported; the text says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"{user} cannot import {error.name or module}: pip install 'dispytch-core[{extra}]'"
        ) from error
