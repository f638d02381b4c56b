"""The networks that are shipped beside the results are those that the results tell of."""

from pathlib import Path

import pytest

from spinbnn.golden.network_file import load_network
from spinbnn.sim.sweep.results_file import read

RESULTS = Path(__file__).parents[2] / "docs" / "results"


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("rate", [0.0, 0.04])
def test_networks_have_the_accuracy_of_the_results(rate: float, seed: int) -> None:
    path = RESULTS / "networks" / f"mnist_256_binary-trained-with-{rate:g}-seed-{seed}.npz"
    metadata = load_network(path).metadata
    (row,) = (
        row
        for row in read(RESULTS / "training-for-errors.sqlite").rows
        if (row["network"], row["thresholds"]) == ("study_mnist_256_binary", "trained")
        and (row["training_rate"], row["test_rate"], row["seed"]) == (rate, 0.0, seed)
    )
    assert metadata["recipe"]["seed"] == seed
    assert metadata["recipe"].get("weight_error_01", 0.0) == rate
    assert metadata["test_correct"] / metadata["test_images"] == row["accuracy"]
