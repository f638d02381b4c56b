"""RTL against golden: every activation, logit, stored bit, counter and clock, on both simulators.

A table of machines, and a table of jobs. One process of the simulator does all jobs of a machine, one after
the other on the same hardware, so what a job leaves behind is there for the next.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.network import random_network
from spinbnn.golden.operating_point import OperatingPoint, operating_point
from spinbnn.sim.job import RunJob, StallProfile, run_jobs

# The first divides nothing: 5 banks of 24 bits, layers of 37 and 10 neurons.
MACHINES = {
    "5x24": Geometry.from_preset("5x24"),
    "4x8x3": Geometry.from_preset("4x8x3"),
    "12x8": Geometry(12, 8, rows=128, stream_bits=8, activation_words=8),  # more banks than bits, ragged
    "16x8x2": Geometry(16, 8, rows=128, lanes=2, stream_bits=16),  # words divide banks
    "4x128": Geometry(4, 128, rows=64, stream_bits=128),  # rows of two slices
    "3x100": Geometry.from_preset("3x100"),  # two slices, the second partly used
    "1x1": Geometry(1, 1, rows=2048, stream_bits=8, input_words=512),  # the smallest there is
}

CERTAIN = 2**32 - 1
COMPARED = {
    "stored bits", "logits", "classes", "image beat clocks", "layer beat clocks", "stall counts",
    "result beat clocks", "counters", "random state words", "clock counts",
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """A job but for the machine; `images` are at least that many, and never a multiple of several lanes."""

    sizes: tuple[int, ...]
    input_bits: int
    point: OperatingPoint
    images: int = 3
    input_signed: bool = False
    seed: int = 1
    loading: str = "front-door"
    stalls: StallProfile | None = None


STALLS = StallProfile(seed=5, image_idle=0.4, program_idle=0.4, result_pause=0.4, axi_idle=0.4)
LONG_RESULT_PAUSES = StallProfile(seed=6, result_pause=0.97)
LONG_IMAGE_PAUSES = StallProfile(seed=7, image_idle=0.97)

RECIPES = {
    "no errors": Recipe((50, 37, 10), 8, operating_point(0.0), images=7),
    "1e-3": Recipe((50, 37, 10), 8, operating_point(1e-3), seed=2**63 + 12345),
    "0.1": Recipe((50, 37, 10), 8, operating_point(0.1), seed=2**127 + 99),
    "only 0 to 1 fails": Recipe((37, 10), 3, operating_point(write_error_rate_01=0.3), seed=3),
    "only 1 to 0 fails": Recipe((37, 10), 3, operating_point(write_error_rate_10=0.3), seed=4),
    "unequal, redundant": Recipe(
        (33, 37, 10),
        1,
        operating_point(write_error_rate_01=0.02, write_error_rate_10=0.3, pulse_redundant=True),
        input_signed=True,
        seed=5,
    ),
    "verify": Recipe((50, 19, 10), 8, operating_point(0.3, max_retries=3, pulse_clocks=1), seed=6),
    "verify, redundant": Recipe(
        (37, 10), 1, operating_point(0.4, max_retries=15, pulse_redundant=True, pulse_clocks=9), seed=7
    ),
    "certain failure": Recipe(
        (20, 10), 2, OperatingPoint(CERTAIN, CERTAIN, CERTAIN, CERTAIN, CERTAIN, 2, 2, True), seed=8
    ),
    "four layers": Recipe((30, 19, 23, 11, 10), 3, operating_point(0.05), images=5, seed=9),
    "one layer": Recipe((41, 6), 8, operating_point(0.01), seed=10),
    "one neuron": Recipe((1, 1, 1), 1, operating_point(0.0), seed=11, input_signed=True, images=5),
    "one output": Recipe((9, 5, 1), 4, operating_point(0.5), seed=12),
    "backdoor": Recipe((50, 37, 10), 8, operating_point(0.1), seed=13, loading="backdoor"),
    "stalls": Recipe((50, 37, 10), 8, operating_point(0.1, max_retries=1), images=5, seed=14, stalls=STALLS),
    "late results": Recipe(
        (24, 17, 10), 2, operating_point(0.0), 7, loading="backdoor", stalls=LONG_RESULT_PAUSES
    ),
    "late images": Recipe(
        (24, 17, 10), 2, operating_point(0.0), 4, loading="backdoor", stalls=LONG_IMAGE_PAUSES
    ),
}
# What a machine of one bank and one bit can do in a short time.
TINY = ("only 0 to 1 fails", "verify, redundant", "certain failure", "one layer", "one neuron", "one output")
# What Icarus, a hundred times slower, does on all machines but the first; the rest of it is `long`.
SHORT = ("verify, redundant", "four layers", "one neuron", "stalls")


def names(machine: str) -> tuple[str, ...]:
    """Return the recipes of a machine."""
    return TINY if machine == "1x1" else tuple(RECIPES)


def job(machine: str, recipe: Recipe, simulator: str, build_dir: Path) -> RunJob:
    """Return the job of a recipe on a machine."""
    geometry = MACHINES[machine]
    rng = np.random.default_rng(recipe.seed)
    images = recipe.images + (recipe.images % geometry.lanes == 0 and geometry.lanes > 1)
    return RunJob(
        network=random_network(recipe.sizes, recipe.input_bits, recipe.input_signed, seed=recipe.seed),
        images=rng.integers(0, 2**recipe.input_bits, (images, recipe.sizes[0]), dtype=np.uint8),
        geometry=geometry,
        point=recipe.point,
        build_dir=build_dir,
        seed=recipe.seed,
        read_bit_energy_aj=2**24 + recipe.seed % 1000,
        simulator=simulator,
        loading=recipe.loading,
        stalls=recipe.stalls,
    )


def check(machine: str, recipes: Iterable[str], simulator: str, build_dir: Path) -> None:
    """Run recipes on a machine; all must match, and none may have compared nothing."""
    recipes = list(recipes)
    results = run_jobs([job(machine, RECIPES[name], simulator, build_dir) for name in recipes])
    differences = {
        name: result.first_difference
        for name, result in zip(recipes, results, strict=True)
        if not result.match
    }
    assert differences == {}
    for name, result in zip(recipes, results, strict=True):
        several_layers = len(RECIPES[name].sizes) > 2
        assert (result.compared.pop("hidden activation words") > 0) == several_layers
        assert (result.compared.pop("activation word clocks", 0) > 0) == several_layers
        assert all(result.compared.values())
        assert result.compared.keys() == COMPARED


@pytest.mark.verilator
@pytest.mark.parametrize("machine", MACHINES)
def test_verilator_equals_golden(machine: str, build_dir: Path) -> None:
    check(machine, names(machine), "verilator", build_dir)


@pytest.mark.icarus
@pytest.mark.parametrize("machine", MACHINES)
def test_icarus_equals_golden(machine: str, build_dir: Path) -> None:
    short = names(machine) if machine == "5x24" else (name for name in names(machine) if name in SHORT)
    check(machine, short, "icarus", build_dir)


@pytest.mark.icarus
@pytest.mark.long
@pytest.mark.parametrize("machine", [machine for machine in MACHINES if machine != "5x24"])
def test_icarus_equals_golden_in_the_rest(machine: str, build_dir: Path) -> None:
    check(machine, (name for name in names(machine) if name not in SHORT), "icarus", build_dir)
