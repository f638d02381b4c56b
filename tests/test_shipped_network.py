"""The shipped network and images, in golden's fast path and in its per-bit reference."""

import pytest

from spinbnn.golden import reference
from spinbnn.golden.network import forward
from spinbnn.golden.network_file import load_network
from spinbnn.sim.assets import MNIST_NETWORK
from spinbnn.sim.datasets import bundled_images


def assert_fast_equals_reference(count: int) -> None:
    network = load_network(MNIST_NETWORK)
    images = bundled_images().pixels[:count]
    slow = [reference.forward(network, image.tolist()) for image in images]
    assert forward(network, images).tolist() == slow


def test_fast_path_equals_reference_on_some_images() -> None:
    assert_fast_equals_reference(5)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_fast_path_equals_reference_on_200_images() -> None:
    assert_fast_equals_reference(200)
