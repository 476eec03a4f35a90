"""The configuration of the in-memory backend."""

from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dispytch.exceptions import ConfigurationError
from dispytch.transport import Declare


class MemoryConfig(BaseModel):
    """What an in-memory backend is: frozen, validated when it is made.

    name: backends of one name share one broker.
    partitions: how many partitions a new topic gets.
    retention: how many records a partition of a new topic holds at most.
    send_timeout: how many seconds `send` waits for room in a full partition.
    declare: what becomes of missing topics: made, checked for, or not looked for.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="default", min_length=1)
    partitions: int = Field(default=4, ge=1)
    retention: int = Field(default=100_000, ge=1)
    send_timeout: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    declare: Declare = "auto"

    @classmethod
    def of(cls, **options: Any) -> Self:
        """The configuration with these options.

        Raises:
            ConfigurationError: an unknown option or a wrong value; the text names it.
        """
        try:
            return cls(**options)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc']))}={fault['input']!r}: {fault['msg']}"
                for fault in error.errors()
            )
            known = ", ".join(cls.model_fields)
            raise ConfigurationError(
                f"the memory backend's configuration is wrong: {faults}; its options are {known}"
            ) from error

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The configuration in ``memory://name?option=value``; without a name, the default one.

        Raises:
            ConfigurationError: the URL is no such URL, or an option in it is wrong.
        """
        try:
            parts = urlsplit(url)
            query = parts.query
            options = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query))
        except ValueError as error:
            raise _wrong(url, str(error)) from error
        if parts.scheme != "memory":
            raise _wrong(url, f"its scheme is {parts.scheme!r}")
        if parts.path not in ("", "/") or parts.fragment or "@" in parts.netloc:
            raise _wrong(url, "it has more than a name and options")
        if "name" in options:
            raise _wrong(url, "the name stands in front of the options")
        for option, values in options.items():
            if len(values) > 1:
                raise _wrong(url, f"the option {option!r} is given more than once")
        named = {"name": parts.netloc} if parts.netloc else {}
        return cls.of(**named, **{option: values[0] for option, values in options.items()})


def _wrong(url: str, reason: str) -> ConfigurationError:
    # It may have been meant for another backend, with a password.
    shown = "this" if "@" in url else repr(url)
    return ConfigurationError(
        f"{shown} is no URL of the memory backend: {reason}; "
        "it is written memory://name?partitions=4&retention=100000"
    )
