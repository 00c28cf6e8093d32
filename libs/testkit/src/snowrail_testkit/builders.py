"""Builds events and other pydantic models with plausible values, of which a test names only what matters."""

import enum
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar, get_args, get_origin
from uuid import UUID

import annotated_types
from eth_utils.address import to_checksum_address
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from snowrail_testkit.fixed import START_OF_TIME, SequentialIds

ModelType = TypeVar("ModelType", bound=BaseModel)

DEV_CHAIN_ID = 31337
NATIVE_TOKEN = f"{DEV_CHAIN_ID}:0x{'0' * 40}"
ONE_MILLION_ATOMS = 1_000_000
USUAL_NUMBERS: Mapping[str, int] = {"chain_id": DEV_CHAIN_ID}
USUAL_TEXTS: Mapping[str, str] = {"symbol": "CRO", "currency": "USD", "token": NATIVE_TOKEN}
USUAL_LONGEST_CHARACTERS = 80


class CannotBuildError(TypeError):
    """A field has a type or pattern no plausible value is known for; the test has to give one."""


class Builder:
    """Fills required fields from their types; optional ones keep their defaults.

    Values are known in advance: ids, addresses and hashes count upwards from one builder to its end, and
    moments are those of `FakeClock`.
    """

    def __init__(self, ids: SequentialIds | None = None, moment: datetime = START_OF_TIME) -> None:
        self._ids = ids or SequentialIds()
        self._moment = moment
        self._count = 0

    def __call__(self, model: type[ModelType], **overrides: Any) -> ModelType:
        """Return a validated model.

        Args:
            model: a pydantic model, such as an event class.
            overrides: values of fields by name.

        Raises:
            CannotBuildError: a required field has no known plausible value.
            TypeError: an override names no field.
            pydantic.ValidationError: the values do not fit together.
        """
        unknown = overrides.keys() - model.model_fields.keys()
        if unknown:
            raise TypeError(f"{model.__name__} has no field {', '.join(sorted(unknown))}")
        values = dict(overrides)
        for name, field in model.model_fields.items():
            if name not in values and field.is_required():
                try:
                    values[name] = self._value(name, field.annotation, field.metadata)
                except CannotBuildError as error:
                    raise CannotBuildError(f"{model.__name__}.{name}: {error}") from None
        return model.model_validate(values)

    def _value(self, name: str, annotation: Any, metadata: Sequence[Any]) -> Any:
        origin = get_origin(annotation)
        if origin is typing.Annotated:
            inner, *more = get_args(annotation)
            return self._value(name, inner, [*metadata, *more])
        if origin in (typing.Union, types.UnionType):
            choices = [choice for choice in get_args(annotation) if choice is not type(None)]
            return self._value(name, choices[0], metadata)
        if origin is typing.Literal:
            return get_args(annotation)[0]
        if origin is not None or not isinstance(annotation, type):
            return self._container(name, origin, get_args(annotation))
        return self._scalar(name, annotation, metadata)

    def _container(self, name: str, origin: Any, arguments: tuple[Any, ...]) -> Any:
        if origin in (list, set, frozenset, Sequence) or (origin is tuple and arguments[-1] is Ellipsis):
            return [self._value(name, arguments[0], [])]
        if origin is tuple:
            return tuple(self._value(name, argument, []) for argument in arguments)
        if origin in (dict, Mapping):
            return {}
        raise CannotBuildError(f"no value known for {origin}")

    def _scalar(self, name: str, kind: type[Any], metadata: Sequence[Any]) -> Any:
        if issubclass(kind, BaseModel):
            return self(kind)
        if issubclass(kind, enum.Enum):
            return next(iter(kind))
        if kind in (int, float, Decimal):
            return kind(_bounded(USUAL_NUMBERS.get(name, _usual_number(metadata)), metadata))
        if kind is str:
            return self._text(name, metadata)
        makers: dict[type[Any], Callable[[], Any]] = {
            bool: lambda: False,
            bytes: lambda: b"\x01",
            UUID: self._ids.new,
            datetime: lambda: self._moment,
            date: lambda: self._moment.date(),
            dict: dict,
            list: list,
        }
        if kind in makers:
            return makers[kind]()
        raise CannotBuildError(f"no value known for {kind.__name__}")

    def _text(self, name: str, metadata: Sequence[Any]) -> str:
        self._count += 1
        patterns = [str(found) for item in metadata if (found := _constraint(item, "pattern")) is not None]
        shortest = max(_limits(metadata, "min_length"), default=0)
        longest = min(_limits(metadata, "max_length"), default=max(shortest, USUAL_LONGEST_CHARACTERS))
        address = to_checksum_address(f"0x{self._count:040x}")
        candidates = (
            *(
                USUAL_TEXTS.get(name, name),
                name,
                f"{name}_{self._count}",
                f"{name} {self._count}",
                name.upper(),
                address,
            ),
            *(f"0x{self._count:064x}", f"0x{self._count:02x}", str(self._count), f"0x{self._count:0130x}"),
            *(f"https://{name}.example", f"{name}@example.org", name[:longest], "x" * shortest),
        )
        for candidate in candidates:
            if shortest <= len(candidate) <= longest and all(re.search(p, candidate) for p in patterns):
                return candidate
        raise CannotBuildError(f"no text known for {patterns}")


def _limits(metadata: Sequence[Any], name: str) -> list[int]:
    return [int(found) for item in metadata if (found := _constraint(item, name)) is not None]


def _usual_number(metadata: Sequence[Any]) -> int:
    # a plain validator over an int is an amount in atoms; a bounded int is a count or an index
    bounded = any(_limits(metadata, name) for name in ("ge", "gt", "le", "lt"))
    return 1 if bounded or not metadata else ONE_MILLION_ATOMS


def _bounded(value: Any, metadata: Sequence[Any]) -> Any:
    for item in metadata:
        least, most = _constraint(item, "ge"), _constraint(item, "le")
        above, below = _constraint(item, "gt"), _constraint(item, "lt")
        if least is not None:
            value = max(value, least)
        if above is not None and value <= above:
            value = above + 1
        if most is not None:
            value = min(value, most)
        if below is not None and value >= below:
            value = below - 1
    return value


def _constraint(item: Any, name: str) -> Any:
    if isinstance(item, FieldInfo):
        return next((found for part in item.metadata if (found := _constraint(part, name)) is not None), None)
    if isinstance(item, annotated_types.GroupedMetadata):
        return next((found for part in item if (found := _constraint(part, name)) is not None), None)
    return getattr(item, name, None)


_default_builder = Builder()


def build(model: type[ModelType], **overrides: Any) -> ModelType:
    """Return a validated model with plausible values; see `Builder`. Ids differ on every call."""
    return _default_builder(model, **overrides)
