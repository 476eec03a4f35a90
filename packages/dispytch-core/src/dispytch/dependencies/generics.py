"""What type variables and aliases in an annotation stand for."""

import typing
from collections.abc import Iterator, Mapping
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import typing_extensions
from typing_extensions import NoDefault

Variables = Mapping[Any, Any]
"""From type variables to what they stand for."""


def _kinds(name: str) -> tuple[Any, ...]:
    """What typing and typing_extensions have under a name; they may be two."""
    modules = (typing, typing_extensions)
    return tuple({getattr(module, name) for module in modules if hasattr(module, name)})


_UNION: Final[Any] = Union
_VARIABLES: Final = _kinds("TypeVar")
_TUPLES: Final = _kinds("TypeVarTuple")
_VARIADIC: Final = (*_TUPLES, *_kinds("ParamSpec"))
_ALIASES: Final = _kinds("TypeAliasType")


class Unbound(TypeError):
    """A type variable that stands for nothing that is known."""

    def __init__(self, variable: Any, why: str = "") -> None:
        self.name: str = str(getattr(variable, "__name__", variable))
        super().__init__(f"nothing says what {self.name} is{why}")


def substituted(annotation: Any, known: Variables) -> Any:
    """The annotation, with what is known in the place of its type variables."""
    if _is_variable(annotation):
        return known.get(annotation, annotation)
    origin, arguments = parts_of(annotation)
    if origin is Annotated:
        return Annotated[(substituted(arguments[0], known), *annotation.__metadata__)]
    if not arguments:
        return _with_its_parameters(annotation, known)
    if origin is Literal:
        return annotation
    changed = tuple(_each_substituted(one, known) for one in arguments)
    return annotation if changed == arguments else _rebuilt(annotation, origin, changed)


def unaliased(annotation: Any) -> Any:
    """What an alias stands for; anything else as it is.

    Raises:
        NameError: it stands for a text, or for what is not there.
        RecursionError: it stands for itself.
    """
    for _ in range(100):
        origin = get_origin(annotation)
        alias = annotation if _is_alias(annotation) else origin if _is_alias(origin) else None
        if alias is None:
            return annotation
        known = _matched(alias.__type_params__, get_args(annotation) if alias is origin else ())
        if isinstance(alias.__value__, str):
            raise NameError(f"the alias {alias} stands for a text, {alias.__value__!r}")
        annotation = substituted(alias.__value__, known)
    raise RecursionError(f"the alias {annotation} stands for itself")


def settled(annotation: Any) -> Any:
    """The annotation without type variables: each is its default, its bound, or one of its types.

    Raises:
        Unbound: one has none of these.
    """
    return substituted(annotation, {one: _stands_for(one) for one in variables_in(annotation)})


def variables_in(annotation: Any) -> Iterator[Any]:
    """The type variables of an annotation."""
    if _is_variable(annotation) or isinstance(annotation, _VARIADIC):
        yield annotation
        return
    origin, arguments = parts_of(annotation)
    if origin is not Literal:
        for one in arguments:
            yield from variables_in(one)
    if isinstance(annotation, (list, tuple)):
        for one in annotation:  # pyright: ignore[reportUnknownVariableType]
            yield from variables_in(one)


def bound_in(kind: Any, owner: type) -> Variables:
    """What the type parameters of ``owner`` stand for in a class, or generic alias, below it."""
    origin, arguments = parts_of(kind)
    origin = origin or kind
    bases: Any = origin.__dict__.get("__orig_bases__", origin.__bases__)
    known = _matched(parameters_of_class(origin), arguments)
    if origin is owner:
        return known
    for base in bases:
        above: Any = parts_of(base)[0] or base
        if isinstance(above, type) and issubclass(above, owner):
            return bound_in(substituted(base, known), owner)
    return {}


def parameters_of_class(kind: Any) -> tuple[Any, ...]:
    """The type parameters of a class."""
    told: Any = getattr(kind, "__pydantic_generic_metadata__", None)
    return told["parameters"] if told else getattr(kind, "__parameters__", ())


def parts_of(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Its origin and its arguments; pydantic's generic models are classes that know theirs."""
    known: Any = annotation
    if isinstance(known, type):
        told = known.__dict__.get("__pydantic_generic_metadata__")
        if told and told["origin"] is not None:
            return told["origin"], told["args"]
    return get_origin(annotation), get_args(annotation)


def _matched(parameters: tuple[Any, ...], arguments: tuple[Any, ...]) -> Variables:
    if any(isinstance(one, _TUPLES) for one in parameters):
        return {}
    known: dict[Any, Any] = {}
    for place, one in enumerate(parameters):
        default = _default_of(one)
        # Python puts a default in as it stands, type variables included.
        if place < len(arguments) and arguments[place] != default:
            known[one] = arguments[place]
        elif arguments and default is not NoDefault:
            known[one] = substituted(default, known)
    return known


def _default_of(variable: Any) -> Any:
    default = getattr(variable, "__default__", NoDefault)
    return NoneType if default is None else default


def _stands_for(variable: Any) -> Any:
    if isinstance(variable, _VARIADIC):
        raise Unbound(variable)
    if (default := _default_of(variable)) is not NoDefault:
        return settled(default)
    if variable.__constraints__:
        return _UNION[variable.__constraints__]
    bound = variable.__bound__
    if bound in (None, object, Any):
        raise Unbound(variable)
    if _keeps_nothing(bound):
        raise Unbound(variable, f", as its bound {bound.__name__} has no fields")
    return bound


def _keeps_nothing(bound: Any) -> bool:
    """Whether it is a model without fields, such as ``BaseModel``: any body would become empty."""
    config: Mapping[str, Any] = getattr(bound, "model_config", {})
    return getattr(bound, "model_fields", None) == {} and config.get("extra") != "allow"


def _with_its_parameters(annotation: Any, known: Variables) -> Any:
    """A generic model of pydantic's: with its own parameters as arguments, it is itself."""
    own = parameters_of_class(annotation) if hasattr(annotation, "model_fields") else ()
    if not any(one in known for one in own):
        return annotation
    return annotation[tuple(known.get(one, one) for one in own)]


def _each_substituted(argument: Any, known: Variables) -> Any:
    # The parameters in a Callable.
    if isinstance(argument, list):
        return [substituted(one, known) for one in argument]  # pyright: ignore[reportUnknownVariableType]
    return substituted(argument, known)


def _rebuilt(annotation: Any, origin: Any, arguments: tuple[Any, ...]) -> Any:
    if origin in (_UNION, UnionType):
        return _UNION[arguments]
    if hasattr(annotation, "copy_with"):
        return annotation.copy_with(arguments)
    if _is_alias(origin):
        return GenericAlias(origin, arguments)
    return origin[arguments]


def _is_variable(annotation: Any) -> bool:
    return isinstance(annotation, _VARIABLES)


def _is_alias(annotation: Any) -> bool:
    return isinstance(annotation, _ALIASES)
