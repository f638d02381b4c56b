"""What a run does to its memory: the operating points, the chip, and the passes before the images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from spinbnn.golden.activation_memory import WITHOUT_ERRORS, ActivationPoint
from spinbnn.golden.chip import TYPICAL, Chip
from spinbnn.golden.device.mtj import Pulse
from spinbnn.golden.device.variability import ClassRates, variability_classes
from spinbnn.golden.errors import OperatingPointError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import CLASSES
from spinbnn.golden.network import Network
from spinbnn.golden.operating_point import OperatingPoint, operating_point, probability_fraction
from spinbnn.golden.placement import place
from spinbnn.golden.point_map import PointRange, layer_range
from spinbnn.golden.technology import write_bit_energy_aj
from spinbnn.sim.device_point import DevicePoint
from spinbnn.sim.spec import Pass, RunJob

_DEFAULT_GENERATORS = 4  # hides the draws of 64 activations behind 8 clocks
_LAST_CLASS_STUCK = (False, False, False, True)


@dataclass(frozen=True)
class MemoryRequest:
    """What is asked of the memory, beside the operating point of most rows.

    Parameters
    ----------
    layers : mapping of int to float
        Write error rate (or, on a technology, write voltage) of the layers that have their own.
    age : float
        Probability that a stored bit flips before the images.
    years : float
        Time before the images, on a technology: its retention flips bits.
    scrub : bool
        Scrub all rows before the images, after they have aged.
    stuck_fraction : float
        Of the cells, that never switch.
    chip_seed : int
        What makes this chip differ from others.
    activation_error_rate : float
        Probability that an activation is stored wrong.
    """

    layers: Mapping[int, float]
    age: float = 0.0
    years: float = 0.0
    scrub: bool = False
    stuck_fraction: float = 0.0
    chip_seed: int = 1
    activation_error_rate: float = 0.0

    def __post_init__(self) -> None:
        for option, probability in (
            ("--age", self.age),
            ("--stuck-fraction", self.stuck_fraction),
            ("--activation-error-rate", self.activation_error_rate),
        ):
            if not 0 <= probability <= 1:
                raise OperatingPointError(f"{option} must be a probability from 0 to 1, not {probability}")
        if not self.years >= 0:
            raise OperatingPointError(f"--years must be 0 or more, not {self.years:g}")
        if self.age and self.years:
            raise OperatingPointError("--age and --years must not be given together: both say how bits flip")

    def build(self, geometry: Geometry) -> Geometry:
        """Return the machine with the options that the request needs."""
        memory = geometry.memory
        if self.age or self.years:
            memory = replace(memory, ageing=True)
        if self.scrub:
            memory = replace(memory, scrub=True)
        if self.stuck_fraction:
            memory = replace(memory, variability=True)
        if self.activation_error_rate and not memory.activation_generators:
            memory = replace(memory, activation_generators=_DEFAULT_GENERATORS)
        return replace(geometry, memory=memory)


def plan_memory(
    job: RunJob,
    request: MemoryRequest,
    device: DevicePoint | None,
    point_of: Callable[[float], OperatingPoint],
) -> RunJob:
    """Return a job with all that the request asks for.

    Parameters
    ----------
    job : RunJob
        Its geometry is as `MemoryRequest.build` returns it.
    request : MemoryRequest
    device : DevicePoint, optional
        The technology and the pulse of most rows, where they are given.
    point_of : callable
        Gives the operating point of a write error rate, for layers with their own; on a technology, not used.

    Raises
    ------
    SpinbnnError
        If something is impossible.
    """
    memory = job.geometry.memory
    chip = Chip(request.chip_seed) if memory.differential or memory.variability else TYPICAL
    if device is None:
        point, layers = job.point, {layer: point_of(rate) for layer, rate in request.layers.items()}
        if memory.variability:
            fractions = (1 - request.stuck_fraction, 0.0, 0.0, request.stuck_fraction)
            chip = Chip.from_fractions(request.chip_seed, fractions, _LAST_CLASS_STUCK)
    else:
        point, layers, chip = _on_device(job, request, device, chip)
    return replace(
        job,
        point=point,
        ranges=_ranges(job.network, job.geometry, layers),
        chip=chip,
        passes=_passes(job.geometry, request, device, point),
        activation_point=_activation_point(job.geometry, request),
    )


def _on_device(
    job: RunJob, request: MemoryRequest, device: DevicePoint, chip: Chip
) -> tuple[OperatingPoint, dict[int, OperatingPoint], Chip]:
    """Return the point of most rows, those of layers with their own voltage, and the chip."""
    memory = job.geometry.memory
    pulses = [device.pulse, *(Pulse(volts, device.pulse.duration_ns) for volts in request.layers.values())]
    rates: list[ClassRates | None] = [None] * len(pulses)
    if memory.variability:
        classes = variability_classes(
            device.technology, pulses, CLASSES, stuck_fraction=request.stuck_fraction
        )
        rates = list(classes.rates)
        first, second, third, fourth = classes.fractions
        stuck = (classes.stuck[0], classes.stuck[1], classes.stuck[2], classes.stuck[3])
        chip = Chip.from_fractions(request.chip_seed, (first, second, third, fourth), stuck)
    points = [
        replace(device, pulse=pulse).operating_point(
            max_retries=job.point.max_retries,
            pulse_redundant=job.point.pulse_redundant,
            blind=job.point.blind,
            class_rates=of_pulse,
            separate_failed_energies=memory.self_terminated,
        )
        for pulse, of_pulse in zip(pulses, rates, strict=True)
    ]
    return points[0], dict(zip(request.layers, points[1:], strict=True)), chip


def _ranges(
    network: Network, geometry: Geometry, layers: Mapping[int, OperatingPoint]
) -> tuple[PointRange, ...]:
    if not layers:
        return ()
    placement = place(network, geometry)
    return tuple(layer_range(placement, layer, point) for layer, point in layers.items())


def _passes(
    geometry: Geometry, request: MemoryRequest, device: DevicePoint | None, point: OperatingPoint
) -> tuple[Pass, ...]:
    flips = (request.age, request.age)
    if request.years:
        if device is None:
            raise OperatingPointError(
                "--years needs a technology, whose retention it is: give --technology too"
            )
        flips = device.retention(request.years)
    passes = []
    last_row = geometry.rows - 1
    if any(flips):
        ageing = operating_point(write_error_rate_01=flips[0], write_error_rate_10=flips[1])
        passes.append(Pass("age", ageing, 0, last_row))
    if request.scrub:
        passes.append(Pass("scrub", point, 0, last_row))
    return tuple(passes)


def _activation_point(geometry: Geometry, request: MemoryRequest) -> ActivationPoint:
    """Return how activations are stored; a word costs as much as its bits would in the array (assumed)."""
    if not geometry.memory.activation_generators:
        return WITHOUT_ERRORS
    rate = request.activation_error_rate
    fraction = probability_fraction("--activation-error-rate", rate)
    energy_aj = geometry.word_bits * write_bit_energy_aj(rate)
    return ActivationPoint(fraction, fraction, energy_aj, pulse_clocks=2, seed=request.chip_seed)


def parse_layers(texts: list[str], option: str) -> dict[int, float]:
    """Return numbers by layer from texts like ``1=0.01``.

    Raises
    ------
    OperatingPointError
        If a text is not of that form.
    """
    layers: dict[int, float] = {}
    for text in texts:
        layer, _, value = text.partition("=")
        try:
            layers[int(layer)] = float(value)
        except ValueError:
            raise OperatingPointError(f"{option} must be LAYER=NUMBER, like 1=0.01, not {text!r}") from None
    return layers
