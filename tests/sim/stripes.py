"""Small images that tests of training learn from."""

import numpy as np

from spinbnn.sim.datasets import Dataset


def stripes(images: int, seed: int, classes: int = 3) -> Dataset:
    """Return noisy images of 10 by 8 pixels in classes: bright on the left, on the right, below."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, images).astype(np.uint8)
    pixels = random.integers(0, 120, (images, 10, 8), dtype=np.uint8)
    pixels[labels == 0, :, :4] += 130
    pixels[labels == 1, :, 4:] += 130
    pixels[labels == 2, 5:] += 130
    pixels.setflags(write=False)  # as images read from idx files are
    return Dataset(pixels, labels)
