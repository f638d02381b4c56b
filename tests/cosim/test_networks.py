"""Networks with convolutions, RTL against golden: each feature alone, and random networks on random machines.

Everything is compared that a job compares: every stored word of activations, logits, counters and clocks. A
random network that differs is made as small as it can be and still differ; the failure prints what is left.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinbnn.golden.activation_memory import WITHOUT_ERRORS, ActivationPoint
from spinbnn.golden.chip import TYPICAL, Chip
from spinbnn.golden.errors import CapacityError, NetworkError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import MultiThreshold, Pool
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.operating_point import operating_point
from spinbnn.golden.placement import place
from spinbnn.sim.job import RunJob, StallProfile, run_jobs
from spinbnn.sim.schedule import loop_clocks
from tests.networks import LayerRecipe, Limits, Recipe, build, random_images, random_recipe

SIMULATORS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("verilator", "icarus")]

# ---- Each feature alone ----

MACHINES = {
    # 5 banks of 24 bits divide no number of channels here; sums meet their thresholds bit by bit.
    "binary": Geometry(
        *(5, 24),
        rows=600,
        threshold_rows=32,
        input_words=512,
        activation_words=128,
        outputs=16,
        image_elements=256,
        weight_planes=3,
        stream_bits=32,
    ),
    # Two lanes, words and groups that divide nothing, and heads that work on integers.
    "integer": Geometry(
        *(4, 6),
        rows=1024,
        lanes=2,
        threshold_rows=64,
        input_words=2048,
        activation_words=512,
        outputs=16,
        image_elements=256,
        weight_planes=3,
        stream_bits=16,
        accumulator_bits=22,
        steps=32,
        activation_bits=3,
        integer_pools=True,
        residual_rows=64,
    ),
}


def conv(neurons: int, kernel: tuple[int, int] = (2, 2), **fields: Any) -> LayerRecipe:
    return LayerRecipe(neurons, kernel, **fields)


LOGITS = LayerRecipe(3)


def recipe(
    *layers: LayerRecipe, shape: tuple[int, int, int] = (5, 6, 3), bits: int = 1, last: LayerRecipe = LOGITS
) -> Recipe:
    """Return a network of some layers and one of logits; inputs of one bit are +1 and -1."""
    return Recipe(1, shape, bits, bits == 1, (*layers, last))


ONE_BY_ONE = conv(7, (1, 1))
POOLS = {
    f"{kind}, {name}": Pool(kind, size, stride)
    for kind in ("or", "max", "sum")
    for name, size, stride in (
        ("apart", (2, 2), (2, 2)),
        ("overlapping", (3, 2), (1, 1)),
        ("gaps", (1, 2), (2, 3)),
    )
}

BINARY_FEATURES: dict[str, Recipe] = {
    "convolution": recipe(conv(7), bits=3),
    "two convolutions": recipe(conv(7), conv(11, (3, 2))),
    "stride": recipe(conv(7, stride=(2, 3)), conv(6, (1, 2), stride=(1, 2)), shape=(7, 9, 2)),
    "stride of a later layer": recipe(ONE_BY_ONE, conv(6, (2, 2), stride=(2, 3)), shape=(5, 7, 2)),
    # The second layer ends before the first is wholly written, which must not pass for its own end.
    "source read in part": recipe(
        conv(7, (1, 1)), conv(6, (1, 1), stride=(1, 6)), conv(5, (1, 1)), shape=(1, 6, 3)
    ),
    "one by one": recipe(ONE_BY_ONE, conv(13, (1, 1)), bits=2),
    "dense on a map": recipe(conv(7), LayerRecipe(26), LayerRecipe(8)),
    "convolution on dense": recipe(LayerRecipe(26), conv(7, (1, 1))),
    "dense alone": recipe(LayerRecipe(11), bits=3),
    "kernel as large as the map": recipe(conv(7, (2, 2)), conv(6, (4, 5))),
    **{
        f"padding with {value}": recipe(
            conv(7, (2, 3), padding=(1, 2, 0, 1), pad_value=value or 1),
            conv(6, (3, 2), padding=(0, 1, 2, 1), pad_value=value),
        )
        for value in (0, 1, -1)
    },
    "padding of pixels": recipe(conv(7, (3, 3), padding=(1, 1, 1, 1)), bits=8),
    "padding of pixels, asymmetric": recipe(conv(7, (3, 2), padding=(2, 0, 0, 1), stride=(2, 2)), bits=4),
    **{f"planes paired, {bits} bits": recipe(conv(7, (2, 2)), bits=bits) for bits in (2, 3, 7, 8)},
    **{f"planes not paired, {bits} bits": recipe(conv(7, (3, 3)), bits=bits) for bits in (2, 7)},
    **{
        f"{planes} planes of weights": recipe(
            conv(7, weight_shifts=shifts),
            conv(6, weight_shifts=shifts),
            LayerRecipe(9, weight_shifts=shifts),
            bits=3,
        )
        for planes, shifts in (
            ("2", (0, 1)),
            ("3", (0, 1, 2)),
            ("2 equal", (0, 0)),
            ("3, any integers,", (0, 0, 1)),
        )
    },
    "planes of weights on pixels in pairs": recipe(conv(7, (2, 2), weight_shifts=(0, 1, 2)), bits=8),
    **{f"pooling by {name}": recipe(ONE_BY_ONE, conv(6, pool=pool)) for name, pool in POOLS.items()},
    **{f"pooling by {name}, of pixels": recipe(conv(6, pool=pool), bits=3) for name, pool in POOLS.items()},
    "pooling of a strided, padded map": recipe(
        conv(7, (1, 1), pool=Pool("or", (2, 2), (1, 1))),
        conv(6, (2, 3), stride=(2, 2), padding=(1, 1, 1, 0), pool=Pool("max", (2, 2), (1, 2))),
        shape=(6, 9, 3),
    ),
    "logits of a convolution": recipe(ONE_BY_ONE, last=conv(4, (2, 3)), shape=(2, 3, 5)),
    "logits pooled by sum": recipe(
        ONE_BY_ONE, last=conv(4, (2, 2), pool=Pool("sum", (2, 2), (1, 1))), shape=(3, 3, 5)
    ),
    # The second layer is done before the first has written its last words; the third must not read for it.
    **{
        f"a layer that leaves out the end of its source by {name}": recipe(
            ONE_BY_ONE, layer, conv(5, (1, 1)), shape=shape
        )
        for name, layer, shape in (
            ("stride", conv(6, (1, 1), stride=(1, 6)), (1, 6, 3)),
            ("pooling", conv(6, (1, 1), pool=Pool("or", (1, 1), (6, 1))), (6, 1, 3)),
        )
    },
    "ReLU that thresholds stand for": recipe(
        conv(7, relu=True), conv(6, relu=True, pool=POOLS["max, apart"])
    ),
}

INTEGER_FEATURES: dict[str, Recipe] = {
    **{
        f"activations of {bits} bits, {low} to {low + thresholds}": recipe(
            conv(7, bits=bits, low=low, thresholds=thresholds),
            conv(6, bits=bits, low=low, thresholds=thresholds),
            LayerRecipe(9, bits=bits, low=low, thresholds=thresholds),
        )
        for bits, low, thresholds in (
            (1, 0, 1),
            (2, 0, 3),
            (2, 0, 2),
            (2, -1, 2),
            (2, -2, 3),
            (3, 0, 7),
            (3, -4, 7),
        )
    },
    "activations of unlike bits": recipe(
        conv(7, bits=3, thresholds=5), conv(6, (1, 1), bits=2, low=-1, thresholds=2), conv(5, (1, 1)), bits=8
    ),
    "padding of integers": recipe(
        conv(7, (1, 1), bits=2, thresholds=3), conv(6, padding=(1, 0, 1, 1)), conv(3, padding=(0, 1, 1, 0))
    ),
    "planes of weights and of activations": recipe(
        conv(7, (1, 1), bits=2, thresholds=3, weight_shifts=(0, 1)),
        conv(6, bits=2, low=-2, thresholds=3, weight_shifts=(0, 0, 1)),
        conv(6, (1, 1), weight_shifts=(0, 1, 2)),
    ),
    **{
        f"activations from {low} pooled by {name}": recipe(
            conv(7, (1, 1), bits=2, low=low, thresholds=3, pool=pool), bits=bits
        )
        for name, pool in POOLS.items()
        for low, bits in ((0, 2), (-2, 1))
    },
    "ReLU before sums": recipe(
        conv(7, relu=True, pool=Pool("sum", (2, 2), (1, 2))), conv(6, (1, 1), relu=True)
    ),
    "ReLU of logits": recipe(ONE_BY_ONE, last=conv(4, (2, 3), relu=True), shape=(2, 3, 5)),
    "ReLU of several thresholds": recipe(conv(7, relu=True, bits=2, thresholds=3)),
    "logits pooled by max": recipe(
        ONE_BY_ONE, last=conv(4, (2, 2), pool=Pool("max", (2, 2), (1, 1)), relu=True), shape=(3, 3, 5)
    ),
    "residual": recipe(ONE_BY_ONE, conv(7, (1, 1), residual=0)),
    "residual of several layers": recipe(
        ONE_BY_ONE,
        conv(7, (3, 3), padding=(1, 1, 1, 1), residual=0),
        conv(7, (1, 1), residual=1, bits=2, thresholds=2),
        conv(7, (1, 1), residual=0, relu=True),
        shape=(3, 4, 3),
    ),
    "residual of a pooled map": recipe(
        conv(7, (1, 1), pool=Pool("max", (2, 2), (2, 2)), relu=True),
        conv(7, (1, 1), residual=0),
        shape=(4, 5, 3),
    ),
    "residual of dense layers": recipe(
        LayerRecipe(9), LayerRecipe(9, residual=0), LayerRecipe(9, residual=1)
    ),
    "residual of logits": recipe(
        LayerRecipe(3), LayerRecipe(5), last=LayerRecipe(3, residual=0, relu=True), shape=(1, 1, 9)
    ),
}

FEATURES = {"binary": BINARY_FEATURES, "integer": BINARY_FEATURES | INTEGER_FEATURES}
# What Icarus, many times slower, does on each machine; the rest of it is `long`.
SHORT = (
    "two convolutions",
    "stride of a later layer",
    "source read in part",
    "dense on a map",
    "padding with 0",
    "padding with 1",
    "planes paired, 3 bits",
    "3 planes of weights",
    "pooling by or, apart",
    "pooling by max, overlapping",
    "pooling by sum, gaps",
    "a layer that leaves out the end of its source by stride",
    "activations of 2 bits, -2 to 1",
    "planes of weights and of activations",
    "logits pooled by max",
    "residual of several layers",
)


def is_short(name: str, machine: str, simulator: str) -> bool:
    """Return whether a feature is tested in a short time, or else with what is `long`."""
    is_at_home = machine == "binary" or name in INTEGER_FEATURES
    return is_at_home and (simulator == "verilator" or name in SHORT)


def feature_job(geometry: Geometry, planned: Recipe, number: int, simulator: Any, build_dir: Path) -> RunJob:
    """Return a job with a full batch and a partial one; every second has wrong weights.

    Most are put into the array: to program them would take longer than all else.
    """
    network = build(planned)
    return RunJob(
        network=network,
        images=random_images(network, geometry.lanes + 1, np.random.default_rng(number)),
        geometry=geometry,
        point=operating_point(0.05 * (number % 2), pulse_clocks=1),
        build_dir=build_dir,
        seed=number,
        read_bit_energy_aj=1000,
        simulator=simulator,
        loading="front-door" if number % 16 == 1 else "backdoor",
    )


def test_features_are_those_of_their_machine() -> None:
    assert set(SHORT) <= set(BINARY_FEATURES) | set(INTEGER_FEATURES)
    for name, planned in INTEGER_FEATURES.items():
        if name != "activations of 1 bits, 0 to 1":
            with pytest.raises(CapacityError):
                place(build(planned), MACHINES["binary"])


def job_of_feature(machine: str, name: str, simulator: str, build_dir: Path) -> RunJob:
    """Return the job of a feature on one of `MACHINES`."""
    number = list(FEATURES[machine]).index(name)
    return feature_job(MACHINES[machine], FEATURES[machine][name], number, simulator, build_dir)


def check_features(machine: str, names: list[str], simulator: str, build_dir: Path) -> None:
    """Do all jobs one after the other, in one process of the simulator; all must match."""
    jobs = [job_of_feature(machine, name, simulator, build_dir) for name in names]
    results = run_jobs(jobs)
    differences = {
        name: result.first_difference for name, result in zip(names, results, strict=True) if not result.match
    }
    assert differences == {}


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("machine", MACHINES)
def test_each_feature_alone(machine: str, simulator: str, build_dir: Path) -> None:
    names = [name for name in FEATURES[machine] if is_short(name, machine, simulator)]
    check_features(machine, names, simulator, build_dir)


@pytest.mark.long
@pytest.mark.parametrize(
    ("machine", "simulator"),
    [
        pytest.param(*pair, marks=getattr(pytest.mark, pair[1]))
        for pair in (("binary", "icarus"), ("integer", "icarus"), ("integer", "verilator"))
    ],
)
def test_each_other_feature_alone(machine: str, simulator: str, build_dir: Path) -> None:
    names = [name for name in FEATURES[machine] if not is_short(name, machine, simulator)]
    check_features(machine, names, simulator, build_dir)


MEMORIES = {
    "secded": MemoryOptions(secded=True),
    "differential": MemoryOptions(differential=True),
    "activation_generators": MemoryOptions(activation_generators=2),
    "all of them": MemoryOptions(secded=True, differential=True, read_groups=4, activation_generators=4),
}
WITH_MEMORIES = ("padding with 1", "pooling by max, overlapping")


@pytest.mark.icarus
@pytest.mark.parametrize(
    "option",
    [
        pytest.param(name, marks=pytest.mark.long) if name in ("secded", "differential") else name
        for name in MEMORIES
    ],
)
def test_convolutions_on_memories(option: str, build_dir: Path) -> None:
    """Errors in weights that are read decoded, and in activations that are stored in MRAM."""
    geometry = replace(MACHINES["binary"], banks=2, word_bits=12, rows=200, memory=MEMORIES[option])
    jobs = [
        with_memory(feature_job(geometry, BINARY_FEATURES[name], 2 * number + 3, "icarus", build_dir))
        for number, name in enumerate(WITH_MEMORIES)
    ]
    results = run_jobs(jobs)
    assert [result.first_difference for result in results] == [None] * len(jobs)
    if MEMORIES[option].activation_generators:
        assert sum(sum(result.counters["activation_flips"]) for result in results) > 0


def with_memory(job: RunJob) -> RunJob:
    """Return a job with a chip and activation errors, as far as its memory has them."""
    memory = job.geometry.memory
    slow = ActivationPoint(p_01=2**28, p_10=2**29, word_energy_aj=5, pulse_clocks=9, seed=job.seed)
    return replace(
        job,
        chip=Chip(job.seed) if memory.differential else TYPICAL,
        activation_point=slow if memory.activation_generators else WITHOUT_ERRORS,
    )


# ---- Random networks on random machines ----

LONG_MACHINES = range(12)
NETWORKS = 5  # on a machine, in the long regression
MOST_TRIALS = 80


def machine_of(name: str | int) -> Geometry:
    """Return one of `MACHINES`, or a random one by its number."""
    return MACHINES[name] if isinstance(name, str) else random_machine(name)


def random_machine(number: int) -> Geometry:
    """Return the machine of a number: little of it, and sizes that divide nothing."""
    rng = np.random.default_rng([11, number])
    elements = int(rng.choice([1, 2, 4, 8]))
    integer = number % 2 == 1
    activation_bits = int(rng.choice([1, 2, 4])) if integer else 1
    generators = 0 if activation_bits > 1 else int(rng.choice([0, 0, 4]))
    return Geometry(
        banks=int(rng.integers(1, 10)),
        word_bits=elements * int(rng.integers(1, 40 // elements + 1)),
        rows=2000,
        lanes=int(rng.integers(1, 4)),
        accumulator_bits=int(rng.integers(21, 25)),
        threshold_rows=256,
        input_words=1024,
        activation_words=512,
        outputs=16,
        stream_bits=8 * elements,
        image_elements=512,
        steps=64,
        weight_planes=int(rng.choice([1, 3, 9])),
        activation_bits=activation_bits,
        integer_pools=integer and bool(rng.integers(2)),
        residual_rows=256 if integer and (activation_bits == 1 or rng.integers(2)) else 0,
        memory=MemoryOptions(
            secded=bool(rng.integers(4) == 0),
            differential=bool(rng.integers(4) == 0),
            activation_generators=generators,
        ),
    )


def limits(geometry: Geometry) -> Limits:
    """Return what networks on a machine may have; what it is too small for is drawn all the same."""
    return Limits(
        size=8,
        channels=8,
        kernel=3,
        residuals=geometry.residual_rows > 0,
        activation_bits=geometry.activation_bits,
        weight_planes=geometry.weight_planes,
        accumulator_bits=20,
    )


def beats(planned: Recipe, geometry: Geometry) -> int:
    """Return the beats of an image; 0 if there is no such network, or it does not fit the machine."""
    try:
        return loop_clocks(place(build(planned), geometry))
    except (CapacityError, NetworkError, ValueError):
        return 0


def fitting_recipe(geometry: Geometry, seed: int) -> Recipe:
    """Return the first recipe from a seed on that fits a machine and gives it something to do.

    It adds residuals on a machine that keeps them, and pools activations or integers on the others.
    """
    for attempt in count():
        planned = random_recipe(1000 * seed + attempt, limits(geometry))
        residuals = geometry.residual_rows > 0
        special = [layer.residual is not None if residuals else layer.pool for layer in planned.layers[:-1]]
        if any(special) and 200 < beats(planned, geometry) < 20_000:
            return planned
    raise AssertionError  # it counts on


@dataclass(frozen=True)
class Case:
    """A random network on a random machine, and what else is random in a job."""

    machine: str | int
    planned: Recipe
    images: int
    write_error_rate: float
    stalls: bool
    front_door: bool

    def job(self, simulator: Any, build_dir: Path) -> RunJob:
        geometry, network, seed = machine_of(self.machine), build(self.planned), self.planned.seed
        job = RunJob(
            network=network,
            images=random_images(network, self.images, np.random.default_rng(seed)),
            geometry=geometry,
            point=operating_point(self.write_error_rate, pulse_clocks=1),
            build_dir=build_dir,
            seed=seed,
            read_bit_energy_aj=1000 + seed % 100,
            simulator=simulator,
            loading="front-door" if self.front_door else "backdoor",
            stalls=StallProfile(seed, 0.3, 0.3, 0.3, 0.2) if self.stalls else None,
        )
        return with_memory(job)


def random_case(machine: str | int, number: int) -> Case:
    """Return a case of a machine, by its number."""
    geometry = machine_of(machine)
    seed = 100 * (machine if isinstance(machine, int) else 50 + list(MACHINES).index(machine)) + number
    rng = np.random.default_rng(seed)
    return Case(
        machine=machine,
        planned=fitting_recipe(geometry, seed),
        images=int(rng.integers(1, 2 * geometry.lanes + 2)),
        write_error_rate=float(rng.choice([0.0, 0.01, 0.3])),
        stalls=bool(rng.integers(4) == 0),
        front_door=bool(rng.integers(4) == 0),
    )


def simpler(case: Case) -> Iterator[Case]:
    """Yield cases that are each in one way simpler, the simplest ways first; they need not be sound."""
    planned = case.planned

    def changed(layers: tuple[LayerRecipe, ...]) -> Case:
        return replace(case, planned=replace(planned, layers=layers))

    for index in range(len(planned.layers) - 1):
        rest = planned.layers[:index] + planned.layers[index + 1 :]
        yield changed(tuple(replace(layer, residual=None) for layer in rest))
    plain = {"images": 1, "write_error_rate": 0.0, "stalls": False, "front_door": False}
    yield from (replace(case, **{name: value}) for name, value in plain.items())  # type: ignore[arg-type]
    for axis, size in enumerate(planned.input_shape):
        for smaller in {1, size // 2, size - 1} - {0, size}:
            shape = (*planned.input_shape[:axis], smaller, *planned.input_shape[axis + 1 :])
            yield replace(case, planned=replace(planned, input_shape=shape))
    if planned.input_bits > 1:
        yield replace(case, planned=replace(planned, input_bits=planned.input_bits - 1))
    for index, layer in enumerate(planned.layers):
        nothing = {
            "residual": None,
            "pool": None,
            "relu": False,
            "bits": 0,
            "weight_shifts": (0,),
            "padding": (0, 0, 0, 0),
            "stride": (1, 1),
            "kernel": (1, 1) if layer.kernel else None,
            "neurons": 1,
        }
        for name, value in [*nothing.items(), ("neurons", max(1, layer.neurons // 2))]:
            if getattr(layer, name) != value:
                low = {"low": 0, "thresholds": 1} if name == "bits" else {}
                simple = replace(layer, **{name: value}, **low)
                yield changed((*planned.layers[:index], simple, *planned.layers[index + 1 :]))


def smallest(case: Case, fails: Callable[[Case], bool]) -> Case:
    """Return the case made simpler in all ways in which it still fails, as far as some trials go."""
    candidates = list(simpler(case))
    trials = position = in_vain = 0
    while trials < MOST_TRIALS and in_vain < len(candidates):
        candidate = candidates[position % len(candidates)]
        if candidate != case and beats(candidate.planned, machine_of(candidate.machine)):
            trials += 1
            if fails(candidate):
                case, candidates, in_vain = candidate, list(simpler(candidate)), 0
                continue
        position, in_vain = position + 1, in_vain + 1
    return case


def check(machine: str | int, networks: int, simulator: str, build_dir: Path) -> None:
    """Run random networks on a machine; all must match."""
    cases = [random_case(machine, number) for number in range(networks)]
    results = run_jobs([case.job(simulator, build_dir) for case in cases])
    for case, result in zip(cases, results, strict=True):
        if not result.match:

            def fails(candidate: Case) -> bool:
                (alone,) = run_jobs([candidate.job(simulator, build_dir)])
                return not alone.match

            least = smallest(case, fails) if fails(case) else None
            shown = least or "none: it fails behind the others only"
            pytest.fail(f"{result.first_difference}\nseed {case.planned.seed}: {case}\nsmallest: {shown}")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("simulator", SIMULATORS)
def test_random_networks(machine: str, simulator: str, build_dir: Path) -> None:
    check(machine, 3, simulator, build_dir)


@pytest.mark.long
@pytest.mark.parametrize("machine", LONG_MACHINES)
@pytest.mark.parametrize("simulator", SIMULATORS)
def test_more_random_networks(machine: int, simulator: str, build_dir: Path) -> None:
    check(machine, NETWORKS, simulator, build_dir)


@pytest.mark.long
def test_random_networks_have_everything_several_times() -> None:
    cases = [random_case(machine, number) for machine in LONG_MACHINES for number in range(NETWORKS)]
    assert len(cases) == 60
    networks = [build(case.planned) for case in cases]
    layers = [layer for case in cases for layer in case.planned.layers]
    pools = [layer.pool.kind for layer in layers if layer.pool is not None]
    strided_or_padded = [layer for layer in layers if layer.stride != (1, 1) or any(layer.padding)]
    assert min(pools.count(kind) for kind in ("or", "max", "sum")) >= 4
    assert len(strided_or_padded) >= 20
    assert sum(layer.kernel is None for layer in layers) >= 20
    assert sum(layer.residual is not None for layer in layers) >= 5
    assert sum(len(layer.weight_shifts) > 1 for layer in layers) >= 10
    assert sum(isinstance(layer.head, MultiThreshold) for each in networks for layer in each.layers) >= 5
    placements = [place(build(case.planned), random_machine(case.machine)) for case in cases]
    assert sum(placed.layers[0].paired for placed in placements) >= 4
    assert {len(network.layers) for network in networks} == {2, 3, 4}
    assert sum(case.stalls for case in cases) >= 8
    assert sum(case.write_error_rate > 0 and case.front_door for case in cases) >= 4


def test_a_failure_shrinks_to_what_matters() -> None:
    """A hardware that fails only where a layer with stride 2 across has two channels of input or more."""
    layers = (
        conv(6, pool=Pool("or", (2, 2), (1, 1))),
        conv(4, (1, 1), weight_shifts=(0, 1)),
        conv(7, stride=(2, 2)),
        LayerRecipe(9),
    )
    large = Recipe(5, (6, 6, 5), 4, False, layers)
    case = Case(0, large, images=4, write_error_rate=0.01, stalls=True, front_door=True)

    def fails(candidate: Case) -> bool:
        channels = candidate.planned.input_shape[2]
        for layer in candidate.planned.layers:
            if layer.stride[1] == 2 and channels >= 2:
                return True
            channels = layer.neurons
        return False

    least = smallest(case, fails)
    strided = LayerRecipe(1, (1, 1), stride=(2, 2))
    assert least == Case(0, Recipe(5, (1, 1, 2), 1, False, (strided, LayerRecipe(1))), 1, 0.0, False, False)
