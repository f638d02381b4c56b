"""Training binarized networks with PyTorch (the optional extra ``train``), and exporting them to integers.

The method is that of M. Courbariaux, I. Hubara, D. Soudry, R. El-Yaniv and Y. Bengio, "Binarized Neural
Networks", arXiv:1602.02830: real-valued *latent* weights, clipped to -1..1, whose signs are the network's
weights; batch normalisation and sign after each hidden layer; gradients pass a sign as if it were a hard tanh
(the straight-through estimator). Pixels enter as they are, 0 to 255: the first batch normalisation takes up
their scale, so that nothing is left to fold into the hardware's input. In the same way the normalisation
behind it takes up the divisor of an average and the unit of weights of several bits.
"""

from spinbnn.sim.training.model import EPSILON, TrainedLayer, TrainedModel, export
from spinbnn.sim.training.progress import progress_bar
from spinbnn.sim.training.recipes import MNIST_MLP, RECIPES, Recipe
from spinbnn.sim.training.run import Status, TrainedInMemory, train, train_in_memory
from spinbnn.sim.training.verification import Verification, export_tested, verify
from spinbnn.sim.training.weight_memory import Cells, Writes

__all__ = [
    "EPSILON",
    "MNIST_MLP",
    "RECIPES",
    "Cells",
    "Recipe",
    "Status",
    "TrainedInMemory",
    "TrainedLayer",
    "TrainedModel",
    "Verification",
    "Writes",
    "export",
    "export_tested",
    "progress_bar",
    "train",
    "train_in_memory",
    "verify",
]
