"""What is shipped with the package: a trained network and real images to run it on."""

from pathlib import Path

_FOLDER = Path(__file__).parent

MNIST_NETWORK = _FOLDER / "mnist_1024.npz"
"""The network file of the 784-1024-1024-10 MNIST network that `spinbnn.sim.training.MNIST_MLP` makes."""

MNIST_TEST_IMAGES = _FOLDER / "mnist_test_500.npz"
"""The first 500 images of the MNIST test set and their labels."""
