"""What technologies of every kind share: numbers with bounds, unit, status and source, read from TOML."""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from difflib import get_close_matches
from math import isfinite
from types import MappingProxyType
from typing import Any, NamedTuple, Self, TypeVar

from spinbnn.golden.errors import TechnologyError

STATUSES = ("measured", "published", "computed", "assumed")
"""Where a number is from: measured by its user, published, computed from others, or assumed."""


class Source(NamedTuple):
    """Unit of a number, one of `STATUSES`, and the publication, computation or reason behind it."""

    unit: str
    status: str
    source: str


def quantity(unit: str, low: float, high: float) -> Any:
    """Return a dataclass field for a number in `unit` ("1" if it has none) from `low` to `high`."""
    return field(metadata={"unit": unit, "low": low, "high": high})


def choice(*values: object) -> Any:
    """Return a dataclass field for one of some plain values, which a file gives without unit and source."""
    return field(metadata={"values": values})


@dataclass(frozen=True, kw_only=True)
class Technology:
    """Base of the technologies: a frozen dataclass whose fields are made by `quantity` and `choice`.

    Parameters
    ----------
    name, description : str
        One line each.
    sources : mapping of str to Source
        Where each number is from, by the field's name.

    Raises
    ------
    TechnologyError
        If a value is impossible.
    """

    name: str
    description: str
    sources: Mapping[str, Source] = field(default_factory=lambda: MappingProxyType({}), compare=False)

    def __post_init__(self) -> None:
        for name in ("name", "description"):
            _check_text(name, getattr(self, name))
        for item in fields(self):
            if "unit" in item.metadata:
                _check_number(item.name, getattr(self, item.name), item)
            elif "values" in item.metadata:
                _check_choice(item.name, getattr(self, item.name), item)

    def with_values(self, **values: Any) -> Self:
        """Return a copy with some fields changed, whose sources say so.

        Raises
        ------
        TechnologyError
            If a name or value is impossible.
        """
        known = {item.name: item for item in fields(self) if item.metadata}
        for name in values:
            if name not in known:
                raise TechnologyError(_unknown_name(name, list(known)))
        changed = {
            name: Source(known[name].metadata["unit"], "assumed", "set by the caller")
            for name in values
            if "unit" in known[name].metadata
        }
        return replace(self, **values, sources=MappingProxyType({**self.sources, **changed}))


T = TypeVar("T", bound="Technology")


def technology_from_table(cls: type[T], table: Mapping[str, Any]) -> T:
    """Return the technology that a TOML document describes.

    Parameters
    ----------
    cls : type
        A subclass of `Technology`.
    table : mapping
        ``name`` and ``description``, plain values for fields made by `choice`, and for each `quantity` a
        table ``{value, unit, status, source}``.

    Raises
    ------
    TechnologyError
        If a name is unknown or missing, or a value, unit, status or source impossible.
    """
    known = {item.name: item for item in fields(cls) if item.name != "sources"}
    for name in table:
        if name not in known:
            raise TechnologyError(_unknown_name(name, list(known)))
    values: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    for name, item in known.items():
        if name not in table:
            raise TechnologyError(f"{name} must be {_expected(item)}, not missing")
        values[name] = table[name]
        if "unit" in item.metadata:
            values[name], sources[name] = _quantity_from_table(name, table[name], item)
    return cls(**values, sources=MappingProxyType(sources))


def _quantity_from_table(name: str, table: object, item: Field[Any]) -> tuple[float, Source]:
    keys = ("value", "unit", "status", "source")
    if not isinstance(table, Mapping) or set(table) != set(keys):
        found = sorted(table) if isinstance(table, Mapping) else table
        raise TechnologyError(f"{name} must be {_expected(item)}, not {found!r}")
    value, unit, status, source = (table[key] for key in keys)
    _check_number(f"{name}.value", value, item)
    if unit != item.metadata["unit"]:
        raise TechnologyError(f"{name}.unit must be {item.metadata['unit']!r}, not {unit!r}")
    if status not in STATUSES:
        raise TechnologyError(f"{name}.status must be one of {', '.join(STATUSES)}, not {status!r}")
    _check_text(f"{name}.source", source)
    return float(value), Source(unit, status, source)


def _expected(item: Field[Any]) -> str:
    if "unit" in item.metadata:
        return f'a table {{ value = ..., unit = "{item.metadata["unit"]}", status = ..., source = ... }}'
    if "values" in item.metadata:
        return f"one of {_listed(item)}"
    return "a line of text"


def _listed(item: Field[Any]) -> str:
    # As TOML writes them.
    return ", ".join(str(v).lower() if isinstance(v, bool) else repr(v) for v in item.metadata["values"])


def _check_number(name: str, value: object, item: Field[Any]) -> None:
    low, high, unit = (item.metadata[key] for key in ("low", "high", "unit"))
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if not is_number or not low <= value <= high:
        in_unit = "" if unit == "1" else f" {unit}"
        raise TechnologyError(f"{name} must be a number from {low:g} to {high:g}{in_unit}, not {value!r}")


def _check_choice(name: str, value: object, item: Field[Any]) -> None:
    if not any(type(value) is type(allowed) and value == allowed for allowed in item.metadata["values"]):
        raise TechnologyError(f"{name} must be one of {_listed(item)}, not {value!r}")


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip() or len(value.splitlines()) != 1:
        raise TechnologyError(f"{name} must be a line of text, not {value!r}")


def _unknown_name(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    hint = f" (did you mean {near[0]}?)" if near else f" (they are {', '.join(known)})"
    return f"name must be one of the technology's, not {name!r}{hint}"
