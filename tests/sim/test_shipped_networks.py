"""The shipped networks: what they are, and how many of the shipped images each knows."""

from pathlib import Path

import numpy as np
import pytest

from spinbnn.golden import reference
from spinbnn.golden.architectures import ARCHITECTURES
from spinbnn.golden.network import classify, forward
from spinbnn.golden.network_file import load_network
from spinbnn.sim import assets
from spinbnn.sim.assets import SHIPPED_IMAGES, SHIPPED_NETWORKS
from spinbnn.sim.datasets import bundled_images_for
from spinbnn.sim.training import RECIPES

# Of each network: data set, right of all its test images, and right of those shipped.
OUTCOMES = {
    "mnist_1024": ("mnist", 9_903, 495),
    "sfc": ("mnist", 9_786, 490),
    "digits": ("digits", 341, 341),
    "lenet4": ("mnist", 9_930, 496),
    "cnv": ("fashion-mnist", 8_929, 448),
}


def test_every_shipped_file_is_named():
    folder = Path(assets.__file__).parent
    assert {path.name for path in folder.glob("*.npz")} == {
        path.name for path in (*SHIPPED_NETWORKS.values(), *SHIPPED_IMAGES.values())
    }
    assert list(SHIPPED_NETWORKS) == list(OUTCOMES)
    licences = (folder / "LICENSES.md").read_text()
    assert all(f"`{path.name}`" in licences for path in folder.glob("*.npz"))


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_shipped_network_knows_the_shipped_images(name):
    data_set, correct, correct_of_shipped = OUTCOMES[name]
    network = load_network(SHIPPED_NETWORKS[name])
    metadata = network.metadata
    assert metadata["test_images"] == metadata["test_equal"] == (360 if data_set == "digits" else 10_000)
    assert metadata["test_correct"] == correct
    data, found = bundled_images_for(network)
    assert found == data_set
    assert int((classify(forward(network, data.pixels)) == data.labels).sum()) == correct_of_shipped
    # The first images are as good as all of them, within what chance explains.
    share = correct / metadata["test_images"]
    assert abs(correct_of_shipped / len(data) - share) <= 3.3 * (share * (1 - share) / len(data)) ** 0.5


@pytest.mark.parametrize("name", [name for name in OUTCOMES if name in ARCHITECTURES])
def test_a_shipped_network_is_what_its_recipe_makes(name):
    network = load_network(SHIPPED_NETWORKS[name])
    recipe = RECIPES[name]
    said, expected = network.metadata["recipe"], recipe.to_dict()
    for text in (said, expected):
        del text["architecture"]["source"]  # prose, which a network does not depend on
    assert said == expected
    assert network.name == name
    for plan, layer in zip(recipe.architecture.plan(), network.layers, strict=True):
        assert (plan.name, plan.sum_length) == (layer.name, layer.sum_length)
        assert (plan.output_shape, plan.shape.relu, plan.shape.pool) == (
            layer.output_shape,
            layer.relu,
            layer.pool,
        )


@pytest.mark.parametrize(
    ("name", "count"),
    [("sfc", 2), ("digits", 5), ("lenet4", 2), pytest.param("cnv", 1, marks=pytest.mark.long)],
)
def test_the_fast_path_equals_the_reference_on_real_images(name, count):
    network = load_network(SHIPPED_NETWORKS[name])
    pixels = bundled_images_for(network)[0].pixels[:count]
    slow = [reference.forward(network, image.tolist()) for image in pixels]
    np.testing.assert_array_equal(forward(network, pixels), slow)
