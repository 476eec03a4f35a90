"""Texts with ``{field}`` in them, filled in from an event."""

import re
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from string import Formatter
from typing import Any, Final, cast

from pydantic import BaseModel

from dispytch.exceptions import InvalidEvent
from dispytch.texts import NoText, check_text, text_of

_Part = tuple[str, tuple[str, ...]]

_NOT_IN_A_SEGMENT: Final = re.compile(r"[.:*#]")


class Template:
    """A text such as ``"user.{user.id}.events"``, parsed once.

    A field is a name, or a path of names, of the event's own attributes; a mapping's entries are
    reached the same way. Values show as `text_of` has them. ``{{`` and ``}}``
    stand for the braces themselves; format specifications and conversions are refused.

    ``constant`` is the whole text when it has no fields, else None.

    Raises:
        InvalidEvent: braces that do not match, or something other than a path between them.
    """

    def __init__(self, text: str) -> None:
        self.text: Final = text
        self._parts = tuple(_parse(text))
        fields = any(path for _, path in self._parts)
        self.constant: Final = None if fields else "".join(literal for literal, _ in self._parts)
        self._lone_field = _lone_field(self._parts)

    def paths(self) -> Iterator[tuple[str, ...]]:
        """The fields it needs, each as the names that lead to it."""
        return (path for _, path in self._parts if path)

    def fill(self, event: object) -> str:
        """The text for one event.

        Raises:
            InvalidEvent: a field is missing or None, or has no text.
        """
        text = self.fill_optional(event)
        if text is not None:
            return text
        absent = next(path for path in self.paths() if self._value(event, path) is None)
        raise InvalidEvent(
            f"{type(event).__qualname__}.{'.'.join(absent)} is None, "
            f"but the template {self.text!r} needs a value"
        )

    def fill_optional(self, event: object) -> str | None:
        """The text for one event, or None when one of its fields, or what leads to it, is None.

        Raises:
            InvalidEvent: a field is missing, or has no text.
        """
        if self._lone_field is not None:
            try:
                value = self._lone_field(event)
            except AttributeError:
                pass  # A mapping or None is on the way, or nothing at all.
            else:
                if value is None:
                    return None
                path = self._parts[0][1]
                text = value if type(value) is str else self._text(event, path, value)
                return self._checked(event, path, text)
        filled: list[str] = []
        for literal, path in self._parts:
            filled.append(literal)
            if path:
                value = self._value(event, path)
                if value is None:
                    return None
                filled.append(self._checked(event, path, self._text(event, path, value)))
        return "".join(filled)

    def check(self, model: type[BaseModel], what: str) -> None:
        """Check the fields against an event class, as far as its annotations tell.

        Raises:
            InvalidEvent: the class has no such field; ``what`` names the text in the error.
        """
        for path in self.paths():
            _check_path(model, path, f"{what} {self.text!r} of {model.__qualname__}")

    def _checked(self, event: object, path: tuple[str, ...], text: str) -> str:
        """What is put in the place of a field; a subclass may refuse it."""
        return text

    def _text(self, event: object, path: tuple[str, ...], value: Any) -> str:
        try:
            return text_of(value)
        except NoText as error:
            raise InvalidEvent(
                f"{type(event).__qualname__}.{'.'.join(path)} cannot stand in the template "
                f"{self.text!r}: {error}"
            ) from error

    def _value(self, event: object, path: tuple[str, ...]) -> Any:
        try:
            return _follow(event, path)
        except (AttributeError, KeyError) as error:
            raise InvalidEvent(
                f"{type(event).__qualname__} has no {'.'.join(path)!r}, "
                f"which the template {self.text!r} needs"
            ) from error


class TopicTemplate(Template):
    """The template of a topic: a field fills a segment, or a part of one, and no more than that.

    So its text is not empty and has neither of ``.`` and ``:``, which separate segments, nor ``*``
    or ``#``, which stand for segments in a handler's pattern: a handler of ``user.{id}.events``
    would never see ``user.a.b.events``. A template that is nothing but one field takes a whole
    topic, with as many segments as it has.

    Raises:
        InvalidEvent: as `Template` does.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._is_whole = len(self._parts) == 1 and self._parts[0][0] == ""

    def _checked(self, event: object, path: tuple[str, ...], text: str) -> str:
        if text and (self._is_whole or not _NOT_IN_A_SEGMENT.search(text)):
            return text
        name = ".".join(path)
        raise InvalidEvent(
            f"{type(event).__qualname__}.{name} is {text!r}, but in the topic {self.text!r} it "
            "must be one segment: not empty, without '.', ':', '*' and '#'; put another field or a "
            "property in its place, or make the whole topic one field"
        )


def _parse(text: str) -> Iterator[_Part]:
    try:
        for literal, field, spec, conversion in Formatter().parse(text):
            if field is None:
                yield literal, ()
                continue
            path = tuple(field.split("."))
            if spec or conversion:
                raise ValueError(f"{{{field}}} can have no format specification or conversion")
            if not all(name.isidentifier() for name in path):
                raise ValueError(f"{{{field}}} is not a field name or a dotted path of them")
            yield literal, path
    except ValueError as error:
        raise InvalidEvent(f"the template {text!r} cannot be read: {error}") from error


def _lone_field(parts: Sequence[_Part]) -> Callable[[object], Any] | None:
    """What gets the value of a template that is one field and nothing else, as most keys are.

    An ``attrgetter`` takes a quarter of the time. A name that mappings have as a method would lead
    it astray, so there is none for those.
    """
    if len(parts) != 1 or parts[0][0] or not parts[0][1]:
        return None
    path = parts[0][1]
    return None if any(hasattr(dict, name) for name in path) else attrgetter(".".join(path))


def _follow(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if value is None:
            return None
        value = cast(Any, value)[name] if isinstance(value, dict) else getattr(value, name)
    return value


def _check_path(model: type[BaseModel], path: tuple[str, ...], what: str) -> None:
    current: Any = model
    for name in path:
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return
        field = current.model_fields.get(name)
        if field is None and not _has_value(current, name):
            known = ", ".join(current.model_fields) or "none"
            raise InvalidEvent(
                f"{what} needs the field {name!r}, which {current.__qualname__} does not have; "
                f"its fields are: {known}"
            )
        current = field.annotation if field is not None else None
    try:
        check_text(current)
    except NoText as error:
        raise InvalidEvent(f"{what} cannot have {'.'.join(path)!r} in it: {error}") from error


def _has_value(model: type[BaseModel], name: str) -> bool:
    # A property is a value, a method is not; which extra fields there are, only the event knows.
    missing = object()
    attribute = getattr(model, name, missing)
    if attribute is missing:
        return model.model_config.get("extra") == "allow"
    return not callable(attribute)
