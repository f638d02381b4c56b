"""The mechanisms of the memory that a machine is built with."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from spinbnn.golden.errors import GeometryError

CLASSES = 4
"""Classes of cells of a machine with variability; class 0 is what the shares of the others leave."""


def check_known(names: Iterable[str], known: Sequence[str], what: str) -> None:
    """Refuse names that are not among the known ones."""
    for name in names:
        if name not in known:
            raise GeometryError(f"{what} must be one of {', '.join(known)}, not {name!r}")


_READ_GROUPS = (0, 2, 4, 8, 16)
_GENERATORS = (0, 1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class MemoryOptions:
    """Which mechanisms a machine is built with; it has no logic, registers or counters of the others.

    Parameters
    ----------
    variability : bool
        Cells of four classes with failure probabilities of their own.
    self_terminated : bool
        A bit pulse that fails costs an energy of its own, and is counted.
    secded : bool
        Rows are stored with check bits: single errors are corrected, double errors detected.
    differential : bool
        Each bit is stored in two complementary cells.
    ageing : bool
        A pass that flips stored bits with given probabilities.
    scrub : bool
        A pass that programs what each row reads.
    read_groups : int
        Row groups of a bank whose reads are counted: 0 (none), 2, 4, 8 or 16.
    activation_generators : int
        Random generators for 64 bits of a lane's activations, which are stored in MRAM with errors: 1, 2, 4,
        8, 16 or 32; 0 stores them without.

    Raises
    ------
    GeometryError
        If a field is of another type or out of its range.
    """

    variability: bool = False
    self_terminated: bool = False
    secded: bool = False
    differential: bool = False
    ageing: bool = False
    scrub: bool = False
    read_groups: int = 0
    activation_generators: int = 0

    def __post_init__(self) -> None:
        allowed = {"read_groups": _READ_GROUPS, "activation_generators": _GENERATORS}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in allowed:
                if not isinstance(value, bool):
                    raise GeometryError(f"{field.name} must be true or false, not {value!r}")
            elif isinstance(value, bool) or value not in allowed[field.name]:
                choices = ", ".join(str(choice) for choice in allowed[field.name])
                raise GeometryError(f"{field.name} must be one of {choices}, not {value!r}")

    @property
    def built(self) -> tuple[str, ...]:
        """The options in use, as `parse` takes them."""
        values = self.to_dict().items()
        return tuple(name if value is True else f"{name}={value}" for name, value in values if value)

    @property
    def draws(self) -> tuple[str, ...]:
        """Names of the options in use that draw random numbers, and so need the error injector."""
        names = ("variability", "ageing", "activation_generators")
        return tuple(name for name in names if getattr(self, name))

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Return the options that are named, each as ``secded`` or ``read_groups=4``.

        Raises
        ------
        GeometryError
            If a name is unknown or a value is impossible.
        """
        values: dict[str, Any] = {}
        for text in texts:
            name, given, number = text.partition("=")
            values[name] = int(number) if number.isdecimal() else number if given else True
        return cls.from_dict(values)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the options with these fields; those left out are off.

        Raises
        ------
        GeometryError
            If `values` is not a mapping, a name is unknown or a value is impossible.
        """
        if not isinstance(values, dict):
            raise GeometryError(f"memory must be a mapping of options, not {values!r}")
        check_known(values, [field.name for field in fields(cls)], "memory option")
        return cls(**values)


PLAIN = MemoryOptions()
"""A memory with none of the options."""

EVERYTHING = MemoryOptions(
    variability=True,
    self_terminated=True,
    secded=True,
    differential=True,
    ageing=True,
    scrub=True,
    read_groups=4,
    activation_generators=4,
)
"""A memory with all of the options."""


def check_bits(word_bits: int) -> int:
    """Return r, the check bits (without the parity) that correct one error in `word_bits` data bits."""
    r = 1
    while 2**r < word_bits + r + 1:
        r += 1
    return r
