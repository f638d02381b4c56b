"""The options of the command line that describe a job, and the job that they ask for."""

# A parameter is an option of the command line; a command imports what it needs, so that help is quick.
# ruff: noqa: PLC0415

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from spinbnn.golden.errors import DataError, OperatingPointError, TechnologyError
from spinbnn.sim.assets import MNIST_NETWORK, SHIPPED_NETWORKS
from spinbnn.sim.machine_options import Machine

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spinbnn.golden.network import Network
    from spinbnn.sim.device_point import DevicePoint
    from spinbnn.sim.memory_plan import MemoryRequest
    from spinbnn.sim.spec import RunJob, StallProfile

_WRITE_ERROR_RATE = 1e-3  # of a job that names no other
_ERRORS, _MEMORY, _IMAGES = "Write errors", "Memory", "Images"
SIMULATION = "Simulation"
"""Name of the panel in the help with the options of a simulation."""

_SHIPPED = Path(MNIST_NETWORK.stem)
MATCH_HELP = (
    "Scale the thresholds for memory in which this share of the stored bits is wrong, from the one "
    "that the network was trained with."
)
NETWORK_HELP = (
    f"A network file (.npz); a trained network that is shipped: {', '.join(SHIPPED_NETWORKS)}; or a preset, "
    "with random weights: xnor-alexnet, for instance."
)


@dataclass(frozen=True)
class Plan:
    """A job, and what a report says of where it came from.

    Parameters
    ----------
    job : RunJob
    network_source, image_source : str
        Where the network and the images came from.
    device : DevicePoint, optional
        The write pulse that the operating point was computed from.
    """

    job: "RunJob"
    network_source: str
    image_source: str
    device: "DevicePoint | None"


@dataclass(frozen=True)
class JobOptions:
    """A job as it was asked for. Each field is an option of the command line."""

    network_path: Annotated[Path, typer.Argument(metavar="NETWORK", help=NETWORK_HELP)] = _SHIPPED
    images: Annotated[
        int,
        typer.Option("--images", "-n", metavar="N", min=1, help="How many images.", rich_help_panel=_IMAGES),
    ] = 200
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Take the test images of this folder (idx or npz files, CIFAR-10 batches). Without it: "
            "shipped test images of what the network was trained on; random ones for random weights.",
            rich_help_panel=_IMAGES,
        ),
    ] = None
    write_error_rate: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            help=f"Probability that writing a bit fails, both ways. Without it: {_WRITE_ERROR_RATE:g}.",
            show_default=False,
            rich_help_panel=_ERRORS,
        ),
    ] = None
    p_fail_01: Annotated[
        float | None,
        typer.Option(metavar="P", help="The same, from 0 to 1 only.", rich_help_panel=_ERRORS),
    ] = None
    p_fail_10: Annotated[
        float | None,
        typer.Option(metavar="P", help="The same, from 1 to 0 only.", rich_help_panel=_ERRORS),
    ] = None
    technology: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Take write errors and energies from a write pulse on this memory technology: "
            "a preset (see spinbnn device --list) or a file of your own.",
            rich_help_panel=_ERRORS,
        ),
    ] = None
    voltage: Annotated[
        float | None,
        typer.Option(
            metavar="V",
            help="Of that pulse. Without it: the technology's own.",
            show_default=False,
            rich_help_panel=_ERRORS,
        ),
    ] = None
    pulse_ns: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="Length of that pulse. Without it: the technology's own.",
            show_default=False,
            rich_help_panel=_ERRORS,
        ),
    ] = None
    max_retries: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Read back, and write failed bits again, so often.",
            rich_help_panel=_ERRORS,
        ),
    ] = 0
    pulse_redundant: Annotated[
        bool,
        typer.Option(
            "--pulse-redundant",
            help="Pulse the bits that already hold their value, too.",
            rich_help_panel=_ERRORS,
        ),
    ] = False
    blind: Annotated[
        bool,
        typer.Option(
            "--blind",
            help="Write without reading the row first, and so pulse all its bits.",
            rich_help_panel=_ERRORS,
        ),
    ] = False
    layer: Annotated[
        list[str] | None,
        typer.Option(
            "--layer",
            metavar="N=P",
            help="Write layer N (from 0) at its own write error rate P, or, with --technology, at P volts; "
            "for up to three layers.",
            rich_help_panel=_ERRORS,
        ),
    ] = None
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Seed of the write errors.", rich_help_panel=_ERRORS)
    ] = 1
    chip_seed: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Seed of what is fixed in a chip: the classes of its cells, its sense amplifiers.",
            rich_help_panel=_MEMORY,
        ),
    ] = 1
    stuck_fraction: Annotated[
        float,
        typer.Option(metavar="P", help="Cells that never switch.", rich_help_panel=_MEMORY),
    ] = 0.0
    age: Annotated[
        float,
        typer.Option(
            metavar="P", help="Flip each stored bit with this probability.", rich_help_panel=_MEMORY
        ),
    ] = 0.0
    years: Annotated[
        float,
        typer.Option(
            metavar="N",
            help="Let the array age by so many years, by the technology's retention.",
            rich_help_panel=_MEMORY,
        ),
    ] = 0.0
    scrub: Annotated[
        bool,
        typer.Option(
            "--scrub", help="Then program what each row reads (corrected).", rich_help_panel=_MEMORY
        ),
    ] = False
    match_thresholds: Annotated[
        float | None,
        typer.Option(metavar="P", help=MATCH_HELP, show_default=False, rich_help_panel=_MEMORY),
    ] = None
    activation_error_rate: Annotated[
        float,
        typer.Option(
            metavar="P",
            help="Keep activations in MRAM, where each bit is stored wrong with this probability.",
            rich_help_panel=_MEMORY,
        ),
    ] = 0.0
    backdoor: Annotated[
        bool,
        typer.Option(
            "--backdoor",
            help="Put the array with its write errors into the memory, without programming it.",
            rich_help_panel=SIMULATION,
        ),
    ] = False
    stalls: Annotated[
        int | None,
        typer.Option(
            metavar="SEED",
            min=0,
            help="Stall every stream at random, with this seed.",
            rich_help_panel=SIMULATION,
        ),
    ] = None

    def plan(self, machine: Machine) -> Plan:
        """Return the job on a machine.

        Raises
        ------
        SpinbnnError
            If it is impossible.
        """
        from spinbnn.golden.operating_point import operating_point
        from spinbnn.golden.technology import READ_BIT_ENERGY_AJ
        from spinbnn.sim.memory_plan import plan_memory
        from spinbnn.sim.named_networks import load_matched
        from spinbnn.sim.spec import RunJob

        device = self._device()
        request = self._memory()
        network = load_matched(self.network_path, self.match_thresholds)
        source = str(self.network_path)
        if self.match_thresholds is not None:
            source += f", thresholds matched to an error rate of {self.match_thresholds:g}"
        shown = _load_images(self.data, self.images, network)
        how: Any = {
            "max_retries": self.max_retries,
            "pulse_redundant": self.pulse_redundant,
            "blind": self.blind,
        }
        job = RunJob(
            network=network,
            images=shown.pixels,
            labels=shown.labels,
            geometry=request.build(machine.for_network(network)),
            point=operating_point(
                _WRITE_ERROR_RATE if self.write_error_rate is None else self.write_error_rate,
                write_error_rate_01=self.p_fail_01,
                write_error_rate_10=self.p_fail_10,
                **how,
            ),
            seed=self.seed,
            read_bit_energy_aj=READ_BIT_ENERGY_AJ if device is None else device.read_bit_energy_aj,
            loading="backdoor" if self.backdoor else "front-door",
            stalls=None if self.stalls is None else _stall_profile(self.stalls),
        )
        job = plan_memory(job, request, device, functools.partial(operating_point, **how))
        return Plan(job, source, shown.source, device)

    def _device(self) -> "DevicePoint | None":
        """Return the write pulse that is asked for, or None where there are error rates."""
        rates = {
            "--write-error-rate": self.write_error_rate,
            "--p-fail-01": self.p_fail_01,
            "--p-fail-10": self.p_fail_10,
        }
        for name, probability in rates.items():
            if probability is not None and not 0 <= probability <= 1:
                raise OperatingPointError(f"{name} must be a probability from 0 to 1, not {probability}")
        pulse = {"--voltage": self.voltage, "--pulse-ns": self.pulse_ns}
        return _device_point(self.technology, pulse, rates)

    def _memory(self) -> "MemoryRequest":
        from spinbnn.sim.memory_plan import MemoryRequest, parse_layers

        return MemoryRequest(
            layers=parse_layers(self.layer or [], "--layer"),
            age=self.age,
            years=self.years,
            scrub=self.scrub,
            stuck_fraction=self.stuck_fraction,
            chip_seed=self.chip_seed,
            activation_error_rate=self.activation_error_rate,
        )


def job_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of a job; it receives `JobOptions` as the keyword ``asked``."""
    names = [field.name for field in fields(JobOptions)]

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> int:
        asked = JobOptions(**{name: kwargs.pop(name) for name in names})
        return command(*args, asked=asked, **kwargs)

    own = inspect.signature(command)
    options = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(JobOptions).parameters.values()
    ]
    parameters: list[inspect.Parameter] = []
    for parameter in own.parameters.values():
        parameters += options if parameter.name == "asked" else [parameter]
    wrapper.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapper


class _Images(NamedTuple):
    """Images of a run, uint8 [n, inputs], their labels, and where they came from."""

    pixels: "NDArray[np.uint8]"
    labels: "NDArray[np.uint8] | None"
    source: str


def _load_images(data_dir: Path | None, count: int, network: "Network") -> "_Images":
    """Return the first images of a folder's test set, or of the shipped ones."""
    from spinbnn.sim.datasets import bundled_images_for, load_split
    from spinbnn.sim.named_networks import is_random, random_images

    if data_dir is not None:
        source = f"the test images in {data_dir}"
        found = load_split(data_dir, "test")
        try:
            dataset = found.fitted(network)
        except DataError as error:
            raise DataError(f"{source}: {error}: name a folder with images that do with --data") from None
    elif is_random(network):
        return _Images(random_images(network, count), None, "random images")
    else:
        try:
            dataset, name = bundled_images_for(network)
        except DataError as error:
            raise DataError(f"shipped {error}: name a folder with images that do with --data") from None
        source = f"the shipped {name} test images"
    if count > len(dataset):
        raise DataError(f"--images must be at most {len(dataset)}, the number of {source}, not {count}")
    head = dataset.head(count)
    return _Images(head.pixels, head.labels, source)


def _device_point(
    technology: str | None, of_pulse: dict[str, float | None], of_rates: dict[str, float | None]
) -> "DevicePoint | None":
    """Return the write pulse that a run is asked for, or None where it is given error rates."""
    if technology is None:
        for option, value in of_pulse.items():
            if value is not None:
                raise TechnologyError(
                    f"--technology must be given with {option} {value:g}, to say what the pulse is on"
                )
        return None
    for option, value in of_rates.items():
        if value is not None:
            raise TechnologyError(
                f"{option} must be left out with --technology {technology}, "
                f"whose pulse decides, not {value:g}"
            )
    for option, value in of_pulse.items():
        if value is not None and not value > 0:
            raise TechnologyError(f"{option} must be above 0, not {value:g}")
    from spinbnn.sim.device_point import DevicePoint

    return DevicePoint.load(technology, of_pulse["--voltage"], of_pulse["--pulse-ns"])


def _stall_profile(seed: int) -> "StallProfile":
    """Return stalls that hold back every interface a quarter of the time."""
    from spinbnn.sim.spec import StallProfile

    return StallProfile(seed, image_idle=0.25, program_idle=0.25, result_pause=0.25, axi_idle=0.25)
