"""What is shipped with the package: trained networks, and real images to run them on."""

from pathlib import Path

_FOLDER = Path(__file__).parent

MNIST_NETWORK = _FOLDER / "mnist_1024.npz"
"""The network file of the 784-1024-1024-10 MNIST network that `spinbnn.sim.training.MNIST_MLP` makes."""

MNIST_TEST_IMAGES = _FOLDER / "mnist_test_500.npz"
"""The first 500 images of the MNIST test set and their labels."""

SHIPPED_NETWORKS = {
    "mnist_1024": MNIST_NETWORK,
    "sfc": _FOLDER / "sfc.npz",
    "digits": _FOLDER / "digits.npz",
    "lenet4": _FOLDER / "lenet4.npz",
    "cnv": _FOLDER / "cnv.npz",
}
"""Network files by the name of the recipe that makes them."""

SHIPPED_IMAGES = {
    "mnist": MNIST_TEST_IMAGES,
    "fashion-mnist": _FOLDER / "fashion_mnist_test_500.npz",
    "digits": _FOLDER / "digits_test_360.npz",
}
"""Files of test images and their labels by data set."""
