"""Images as streams of bits: a first layer of one bit, presented often, against one of 8 bits.

After T. Hirtzlin et al., "Stochastic Computing for Hardware Implementation of Binarized Neural Networks",
arXiv:1906.00915 (2019). A bit of a pixel's stream is 1 with a probability of pixel / 255. The machine is
given the bits as images of +1 and -1, one a presentation, and the logits of all presentations are added up:
no hardware is changed for that. Sums of the first layer over the presentations, which a machine would have to
accumulate, are computed beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.architectures import perceptron
from spinbnn.golden.fitting import fit
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.network import Network, classify, forward, random_network
from spinbnn.golden.placement import place
from spinbnn.sim.datasets import Dataset, load_split, save_images
from spinbnn.sim.image_formats import digits_folder
from spinbnn.sim.schedule import binary_operations, predict_steady_clocks
from spinbnn.sim.studies.cells import whole
from spinbnn.sim.studies.evaluation import seed_of
from spinbnn.sim.studies.given_networks import TRAINING_SEEDS
from spinbnn.sim.studies.programming import machine_for
from spinbnn.sim.studies.reprogramming import image_reading_aj
from spinbnn.sim.studies.stochastic_input_findings import findings
from spinbnn.sim.studies.stochastic_streams import (
    WHITE,
    black_or_white_network,
    counting_network,
    stream_bits,
)
from spinbnn.sim.studies.study import Row, Scalar, Setting, Study, StudyOptions
from spinbnn.sim.synthesis import cells_of, has_yosys, luts_and_flip_flops, memory_luts

LENGTHS = (1, 2, 4, 8, 16, 32, 64, 128)
"""Presentations of an image."""

FASHION, DIGITS = "fashion-mnist", "digits"
SIZES = {FASHION: (784, 1024, 1024, 10), DIGITS: (64, 256, 256, 10)}
INPUTS = ("grey", "black-white", "stochastic", "grey-as-stochastic")
"""Images of 8 bits; +1 from 128 on; streams; and streams for a network that was trained on 8 bits."""

MACHINES = {False: ((4, 16), (16, 64)), True: ((2, 8),)}
"""Banks and bits of a word of the machines that are synthesised, by whether it must be quick."""

_LARGEST_DIGIT = 16
_COSTS = ("reading_aj", "clocks", "operations")
_AREAS = ("luts", "memory_luts", "flip_flops", "input_buffer_bits", "threshold_bits", "accumulator_bits")
_SMALLEST: dict[str, Any] = {
    "rows": 2,
    "accumulator_bits": 8,
    "threshold_rows": 2,
    "input_words": 2,
    "activation_words": 2,
    "layers": 2,
    "outputs": 2,
    "steps": 2,
}


def settings(options: StudyOptions) -> list[Setting]:
    """Return inputs by training, then machines with and without a first layer of 8 bits."""
    data = FASHION if FASHION in options.data and not options.quick else DIGITS
    found = [
        _setting("accuracy", data, inputs, training_seed=seed) for seed in TRAINING_SEEDS for inputs in INPUTS
    ]
    if has_yosys():
        found += [
            _setting("area", data, inputs, banks=banks, word_bits=word_bits)
            for banks, word_bits in MACHINES[options.quick]
            for inputs in ("grey", "stochastic")
        ]
    return found


def _setting(
    kind: str,
    data: str,
    inputs: str,
    training_seed: int | None = None,
    banks: int | None = None,
    word_bits: int | None = None,
) -> Setting:
    what: dict[str, Scalar] = {
        "kind": kind,
        "data": data,
        "inputs": inputs,
        "training_seed": training_seed,
        "banks": banks,
        "word_bits": word_bits,
    }
    return {**what, "seed": seed_of("stochastic-input", *what.values())}


def measure(setting: Setting, options: StudyOptions) -> list[Row]:
    """Return accuracies by presentations, or the area of a machine."""
    return [_area(setting)] if setting["kind"] == "area" else _accuracies(setting, options)


def _row(setting: Setting, **values: Scalar) -> Row:
    names = ("combination", "presentations", "images", "right", *_COSTS, *_AREAS)
    return {**setting, **dict.fromkeys(names), **values}


def _accuracies(setting: Setting, options: StudyOptions) -> list[Row]:
    data, inputs = str(setting["data"]), str(setting["inputs"])
    directory = options.directory(data) if data == FASHION else _digits_of_8_bits(options.folder)
    test = _test_images(directory)
    network = _trained(data, inputs, whole(setting, "training_seed"), directory, options.folder)
    costs = _costs(network)

    def row(combination: str, presentations: int, classes: NDArray[np.int64], costs: dict[str, float]) -> Row:
        right = int((classes == test.labels).sum())
        spent = {name: value * presentations for name, value in costs.items()}
        return _row(
            setting,
            combination=combination,
            presentations=presentations,
            images=len(test),
            right=right,
            **spent,
        )

    if inputs in ("grey", "black-white"):
        return [row("logits", 1, classify(forward(network, test.fitted(network).pixels)), costs)]
    rows = []
    for presentations, logits, counts in _presented(network, test.pixels, whole(setting, "seed")):
        rows.append(row("logits", presentations, logits.argmax(axis=1), costs))
        counted = forward(counting_network(network, presentations), counts)
        rows.append(row("first layer", presentations, classify(counted), {}))
    return rows


def _presented(
    network: Network, pixels: NDArray[np.uint8], seed: int
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.uint8]]]:
    """Yield, for each of `LENGTHS`, the sums of the logits and how many bits of each pixel were 1."""
    rng = np.random.default_rng(seed)
    logits = np.zeros((len(pixels), network.outputs), dtype=np.int64)
    counts = np.zeros_like(pixels)
    for presentation in range(1, LENGTHS[-1] + 1):
        bits = stream_bits(pixels, rng)
        logits += forward(network, bits)
        counts += bits
        if presentation in LENGTHS:
            yield presentation, logits.copy(), counts.copy()


def _costs(network: Network) -> dict[str, float]:
    """Return what an image costs the machine of 64 banks of 64 bits once it is busy."""
    geometry = machine_for(network)
    return {
        "reading_aj": image_reading_aj(network, geometry),
        "clocks": predict_steady_clocks(network, place(network, geometry)),
        "operations": binary_operations(network),
    }


def _area(setting: Setting) -> Row:
    """Synthesise the machine that is as large as the network needs, without what injects errors."""
    bits = 8 if setting["inputs"] == "grey" else 1
    network = random_network(SIZES[str(setting["data"])], bits, bits == 1)
    banks, word_bits = whole(setting, "banks"), whole(setting, "word_bits")
    geometry = fit(network, Geometry(banks, word_bits, stream_bits=min(64, 8 * word_bits), **_SMALLEST))
    cells = cells_of(geometry, "xilinx", injector=False)
    luts, flip_flops = luts_and_flip_flops(cells, "xilinx")
    return _row(
        setting,
        luts=luts,
        memory_luts=memory_luts(cells),
        flip_flops=flip_flops,
        input_buffer_bits=2 * geometry.input_words * word_bits * geometry.lanes,
        threshold_bits=banks * geometry.threshold_rows * geometry.accumulator_bits,
        accumulator_bits=geometry.accumulator_bits,
    )


def _digits_of_8_bits(folder: Path) -> Path:
    """Return a folder with scikit-learn's digits, whose pixels of 0 to 16 become 0 to 255."""
    target = folder / "digits-of-8-bits"
    target.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        if not (target / f"{split}.npz").exists():
            digits = load_split(digits_folder(), split)
            scaled = digits.images.astype(np.int64) * WHITE // _LARGEST_DIGIT
            save_images(Dataset(scaled.astype(np.uint8), digits.labels), target / f"{split}.npz")
    return target


@lru_cache(maxsize=2)
def _test_images(directory: Path) -> Dataset:
    return load_split(directory, "test")


def _trained(data: str, inputs: str, seed: int, directory: Path, folder: Path) -> Network:
    # Only where networks are trained: PyTorch takes seconds to import, and may be missing.
    from spinbnn.sim.studies import study_recipes  # noqa: PLC0415
    from spinbnn.sim.studies.networks import trained  # noqa: PLC0415

    if inputs in ("stochastic", "black-white"):
        form, bits, signed = inputs, 1, True
    else:
        form, bits, signed = "grey", 8, False
    recipe = study_recipes.FASHION_1024 if data == FASHION else study_recipes.DIGITS
    if data != FASHION or form != "grey":  # FASHION_1024 is that of other studies, too
        architecture = perceptron(f"mlp-{form}", "made for studies", SIZES[data], bits, signed)
        recipe = replace(recipe, name=f"{recipe.name}_{form}", architecture=architecture)
    recipe = replace(recipe, seed=seed, stochastic_input=inputs == "stochastic")
    network = trained(recipe, directory, folder)
    return black_or_white_network(network) if inputs == "grey-as-stochastic" else network


STUDY = Study(
    name="stochastic-input",
    title="Stochastic input",
    question="Can images be given as streams of bits, so that no layer has more than one bit?",
    paper='T. Hirtzlin et al., "Stochastic Computing for Hardware Implementation of Binarized Neural '
    'Networks", arXiv:1906.00915',
    settings=settings,
    measure=measure,
    findings=findings,
    needs_torch=True,
)
