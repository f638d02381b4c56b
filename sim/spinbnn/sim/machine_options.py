"""The options of the command line that describe a machine."""

# A command imports what it needs, so that help is quick.
# ruff: noqa: PLC0415

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from spinbnn.golden.geometry import Geometry
    from spinbnn.golden.network import Network

MACHINE = "Machine"
"""Name of the options' panel in the help."""

GEOMETRY_HELP = {
    "banks": "MRAM banks; the neurons computed at once.",
    "word_bits": "Bits of a row.",
    "rows": "Rows of a bank.",
    "lanes": "Images computed in lockstep.",
    "accumulator_bits": "Width of the signed accumulator.",
    "threshold_rows": "Neuron groups over all layers with thresholds.",
    "input_words": "Words of one half of a lane's input buffer.",
    "activation_words": "Words of a lane's activation memory.",
    "layers": "Layer descriptors.",
    "outputs": "Logits of an image.",
    "stream_bits": "Width of the image stream.",
    "image_elements": "Elements of an image whose windows the loader unfolds, for a first convolution.",
    "steps": "Steps of all layers: how planes of inputs meet planes of weights.",
    "weight_planes": "Planes of a weight of several bits.",
    "activation_bits": "Bits of an activation.",
    "integer_pools": "Pool integers behind a ReLU, and logits by max.",
    "residual_rows": "Integers that a bank keeps for later layers to add.",
}


@dataclass(frozen=True)
class Machine:
    """A machine as it was asked for.

    Parameters
    ----------
    geometry : Geometry
    given : frozenset of str
        Fields of the geometry that options named.
    """

    geometry: "Geometry"
    given: frozenset[str]

    def for_network(self, network: "Network") -> "Geometry":
        """Return the machine with the sizes raised, of those that no option named, that a network needs.

        Raises
        ------
        CapacityError
            If the network does not fit.
        """
        from spinbnn.golden.fitting import fit

        return fit(network, self.geometry, self.given)


def geometry_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of the machine; it receives a `Machine` as the keyword ``machine``."""

    @functools.wraps(command)
    def wrapper(*, preset: str, **kwargs: Any) -> int:
        from dataclasses import replace

        from spinbnn.golden.geometry import Geometry
        from spinbnn.golden.memory_options import MemoryOptions

        given = {name: kwargs.pop(name) for name in GEOMETRY_HELP}
        changes = {name: value for name, value in given.items() if value is not None}
        memory = MemoryOptions.parse(kwargs.pop("memory") or [])
        geometry = replace(Geometry.from_preset(preset), memory=memory, **changes)
        return command(machine=Machine(geometry, frozenset(changes)), **kwargs)

    preset = typer.Option(
        "--geometry",
        metavar="PRESET",
        help="A machine by name: banks x word bits, or banks x word bits x lanes. The options below change "
        "it. Sizes that no option names are raised to what the network needs.",
        rich_help_panel=MACHINE,
    )
    options: dict[str, tuple[Any, Any]] = {"preset": (Annotated[str, preset], "64x64")}
    for name, text in GEOMETRY_HELP.items():
        flag = "--" + name.replace("_", "-")
        if name == "integer_pools":
            option = typer.Option(
                f"{flag}/--no-{flag[2:]}", help=text, show_default=False, rich_help_panel=MACHINE
            )
            options[name] = (Annotated[bool | None, option], None)
            continue
        option = typer.Option(flag, metavar="N", help=text, rich_help_panel=MACHINE)
        options[name] = (Annotated[int | None, option], None)
    memory = typer.Option(
        "--memory",
        metavar="OPTION",
        help="A mechanism of the memory to build; may be repeated: variability, self_terminated, secded, "
        "differential, ageing, scrub, read_groups=N, activation_generators=N.",
        rich_help_panel=MACHINE,
    )
    options["memory"] = (Annotated[list[str] | None, memory], None)
    own = inspect.signature(command)
    parameters = [parameter for parameter in own.parameters.values() if parameter.name != "machine"]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for name, (annotation, default) in options.items()
    ]
    wrapper.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapper
