"""Training binarized networks with PyTorch (the optional extra ``train``), and exporting them to integers.

The method is that of M. Courbariaux, I. Hubara, D. Soudry, R. El-Yaniv and Y. Bengio, "Binarized Neural
Networks", arXiv:1602.02830: real-valued *latent* weights, clipped to -1..1, whose signs are the network's
weights; batch normalisation and sign after each hidden layer; gradients pass a sign as if it were a hard tanh
(the straight-through estimator). Pixels enter as they are, 0 to 255: the first batch normalisation takes up
their scale, so that nothing is left to fold into the hardware's input.
"""

from __future__ import annotations

import hashlib
import importlib
import itertools
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from spinbnn.golden.encoding import pack
from spinbnn.golden.errors import SpinbnnError
from spinbnn.golden.folding import fold_batch_norm
from spinbnn.golden.layers import Affine, Dense, Threshold
from spinbnn.golden.network import Network, classify, forward
from spinbnn.sim.datasets import Dataset, load_split

EPSILON = 1e-5
"""What batch normalisation adds to a variance."""

_MOMENTUM = 0.1  # weight of the newest batch in the running mean and variance of batch normalisation

_LARGEST_SCALE = 2**15 - 1
_LARGEST_LOGIT = 2**31 - 1


@dataclass(frozen=True)
class Recipe:
    """All that decides what a training run makes, besides the images.

    The defaults are the recipe of the shipped network. On one machine with one release of PyTorch, the same
    recipe and images give the same network, bit for bit.

    Attributes
    ----------
    name : str
        The name of the recipe and of the network it makes.
    hidden : tuple of int
        Neurons of each hidden layer.
    classes : int
        Neurons of the last layer.
    epochs : int
        Passes over the training images. The network after the last one is the result: none is selected.
    batch_size : int
        Images a step; what is left of an epoch after the last whole batch is not used.
    learning_rate : float
        Adam's step at its largest: it rises linearly during `warmup_epochs`, and falls to 0 along a cosine.
    warmup_epochs : float
        Epochs of the rise.
    initial_weight : float
        Latent weights begin uniformly within plus and minus this.
    shift_pixels, rotation_degrees, zoom, shear : float
        The largest of each change made to an image whenever it is shown: moved by so many pixels each way,
        turned by so many degrees, its size changed by this fraction, slanted by this slope.
    validation_images : int
        Training images that are held out to judge a recipe by. The test images never take part in training.
    seed : int
        Begins the one random generator that initial weights, shuffling and changes to images draw from.
    """

    name: str = "mnist_1024"
    hidden: tuple[int, ...] = (1024, 1024)
    classes: int = 10
    epochs: int = 90
    batch_size: int = 256
    learning_rate: float = 0.03
    warmup_epochs: float = 0.5
    initial_weight: float = 0.1
    shift_pixels: float = 1.0
    rotation_degrees: float = 10.0
    zoom: float = 0.1
    shear: float = 0.15
    validation_images: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        whole = {"classes": self.classes, "epochs": self.epochs, "batch_size": self.batch_size}
        whole |= {f"hidden[{index}]": size for index, size in enumerate(self.hidden)}
        for name, value in whole.items():
            least = 2 if name in ("classes", "batch_size") else 1
            if value < least:
                raise SpinbnnError(f"recipe '{self.name}': {name} must be at least {least}, not {value}")
        for name in ("learning_rate", "initial_weight"):
            if not getattr(self, name) > 0:
                raise SpinbnnError(f"recipe '{self.name}': {name} must be above 0, not {getattr(self, name)}")
        for name in (
            "warmup_epochs",
            "shift_pixels",
            "rotation_degrees",
            "zoom",
            "shear",
            "validation_images",
            "seed",
        ):
            if not getattr(self, name) >= 0:
                raise SpinbnnError(
                    f"recipe '{self.name}': {name} must be at least 0, not {getattr(self, name)}"
                )
        if self.seed >= 2**63:
            raise SpinbnnError(f"recipe '{self.name}': seed must be below 2^63, not {self.seed}")


MNIST_MLP = Recipe()
"""The fully connected MNIST network 784-1024-1024-10 of the spin-transfer-torque MRAM literature."""

MNIST_MLP_SMALL = Recipe(name="mnist_128", hidden=(128,), epochs=10)
"""A small network, trained in about a minute, for trying things out."""

RECIPES = {recipe.name: recipe for recipe in (MNIST_MLP, MNIST_MLP_SMALL)}
"""The recipes by name."""


@dataclass(frozen=True)
class Status:
    """How far a training run has come.

    Attributes
    ----------
    epoch, epochs : int
        Epochs finished, of how many.
    step, steps : int
        Steps finished of the epoch under way, of how many.
    loss, accuracy : float
        Mean loss and accuracy on the training images of the epoch so far.
    validation_accuracy : float or None
        Accuracy on the held-out images; None within an epoch, or when none are held out.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    validation_accuracy: float | None = None


@dataclass(frozen=True)
class TrainedLayer:
    """One layer as trained: signs, and a batch normalisation.

    Attributes
    ----------
    weights : ndarray of int8, shape (outputs, inputs)
        Each +1 or -1.
    gamma, beta, mean, variance : ndarray of float32, shape (outputs,)
        The normalised sum is ``gamma * (sum - mean) / sqrt(variance + EPSILON) + beta``.
    """

    weights: NDArray[np.int8]
    gamma: NDArray[np.float32]
    beta: NDArray[np.float32]
    mean: NDArray[np.float32]
    variance: NDArray[np.float32]


@dataclass(frozen=True)
class TrainedModel:
    """What training made.

    Attributes
    ----------
    recipe : Recipe
        How it was made.
    layers : tuple of TrainedLayer
        A sign follows the normalisation of each but the last, whose normalised sums are the logits.
    torch_version : str
        The release of PyTorch that made it.
    data_sha256 : str
        Hash of the training images and labels.
    history : tuple of Status
        One for each epoch.
    """

    recipe: Recipe
    layers: tuple[TrainedLayer, ...]
    torch_version: str
    data_sha256: str
    history: tuple[Status, ...]


@dataclass(frozen=True)
class Verification:
    """An exported network next to the model it came from, on the same images.

    Attributes
    ----------
    images : int
        How many were compared.
    equal : int
        Images that both put into the same class.
    correct : int
        Images that the exported network puts into their true class.
    """

    images: int
    equal: int
    correct: int

    @property
    def accuracy(self) -> float:
        """The fraction of the images that is classified correctly."""
        return self.correct / self.images


def train(
    recipe: Recipe, data_dir: Path, checkpoint: Path, progress: Callable[[Status], None] | None = None
) -> TrainedModel:
    """Train a network on the training images in a directory.

    After each epoch everything is written to `checkpoint`. A run that was interrupted goes on from there when
    it is started again, and ends with the same network as one that was not.

    Parameters
    ----------
    recipe : Recipe
        What to train, and how.
    data_dir : Path
        Where the training images are; see `spinbnn.sim.datasets.load_split`.
    checkpoint : Path
        The file to resume from if it is there, and to write.
    progress : callable, optional
        Called with a `Status` after each step and each epoch; see `progress_bar`.

    Raises
    ------
    SpinbnnError
        If PyTorch is missing, or the checkpoint is not of this recipe and these images.
    DataError
        If the images cannot be read.
    """
    torch = _import_torch()
    data = load_split(data_dir, "train")
    if int(data.labels.max()) >= recipe.classes:
        raise SpinbnnError(
            f"recipe '{recipe.name}': classes must be more than the largest label in {data_dir}, "
            f"which is {data.labels.max()}, not {recipe.classes}"
        )
    if len(data) - recipe.validation_images < recipe.batch_size:
        raise SpinbnnError(
            f"recipe '{recipe.name}': {len(data)} training images with {recipe.validation_images} "
            f"held out must fill a batch of {recipe.batch_size}"
        )
    with _repeatable(torch):
        run = _Run(torch, recipe, data)
        if checkpoint.exists():
            run.resume(checkpoint)
        else:
            run.save(checkpoint)  # a folder that cannot be written is found out before an epoch is lost
        while len(run.history) < recipe.epochs:
            run.epoch(progress or (lambda status: None))
            run.save(checkpoint)
        return run.result()


def export(model: TrainedModel) -> Network:
    """Turn a trained model into a network on integers.

    Batch normalisation and sign become thresholds, exactly. The last normalisation, ``a * sum + b`` for each
    class, becomes an integer scale and bias with one common factor. Rounding them could change the order of
    two classes that are almost equal; `verify` tells whether it does for any image.
    """
    layers = []
    for index, layer in enumerate(model.layers):
        inputs = layer.weights.shape[1]
        reach = inputs * (255 if index == 0 else 1)
        is_last = index == len(model.layers) - 1
        head = _integer_logits(layer, reach) if is_last else _threshold(layer, reach)
        layers.append(Dense(f"dense{index}", pack(layer.weights > 0), inputs, head))
    return Network(
        name=model.recipe.name,
        layers=tuple(layers),
        input_bits=8,
        input_signed=False,
        metadata={
            "recipe": asdict(model.recipe) | {"hidden": list(model.recipe.hidden)},
            "torch": model.torch_version,
            "training_data_sha256": model.data_sha256,
        },
    )


def export_tested(model: TrainedModel, test: Dataset) -> tuple[Network, Verification]:
    """Export a model, verify it on the test images, and note the outcome in the network's metadata."""
    network = export(model)
    outcome = verify(model, network, test)
    noted = {"test_images": outcome.images, "test_correct": outcome.correct, "test_equal": outcome.equal}
    return replace(network, metadata=network.metadata | noted), outcome


def verify(model: TrainedModel, network: Network, data: Dataset) -> Verification:
    """Compare the classes that an exported network gives with those of the model, evaluated by PyTorch.

    PyTorch computes in float64 here: in float32 a normalised sum next to zero can round across it.

    Raises
    ------
    SpinbnnError
        If PyTorch is missing.
    """
    torch = _import_torch()
    layers = [
        _Layer(
            *(
                torch.from_numpy(array).double()
                for array in (layer.weights, layer.gamma, layer.beta, layer.mean, layer.variance)
            )
        )
        for layer in model.layers
    ]
    expected = _classes(torch, layers, torch.tensor(data.pixels), torch.float64).numpy()
    got = classify(forward(network, data.pixels))
    return Verification(len(data), int((got == expected).sum()), int((got == data.labels).sum()))


@contextmanager
def progress_bar(recipe: Recipe) -> Iterator[Callable[[Status], None]]:
    """Show loss, accuracy and time left on standard error; yields what `train` takes as `progress`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(recipe.name, total=recipe.epochs, state="")

        def show(status: Status) -> None:
            state = (
                f"epoch {min(status.epoch + 1, status.epochs)}/{status.epochs}  loss {status.loss:.4f}  "
                f"accuracy {status.accuracy:.2%}"
            )
            done = status.epoch + status.step / status.steps
            if not bar.tasks[0].completed:  # epochs that a resumed run has behind it say nothing of its speed
                bar.reset(task, completed=status.epoch)
            bar.update(task, completed=done, state=state)

        yield show


def _import_torch() -> Any:
    """Return PyTorch, which is not among the package's own requirements."""
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        raise SpinbnnError('training needs PyTorch: pip install "spinbnn[train]"') from error


@contextmanager
def _repeatable(torch: Any) -> Iterator[None]:
    """Compute on one thread with deterministic algorithms: with more, sums are taken in another order."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


@dataclass
class _Layer:
    """The tensors of a layer; `weight` is latent while training, and +1 or -1 afterwards."""

    weight: Any
    gamma: Any
    beta: Any
    mean: Any
    variance: Any


class _Run:
    """A training run: layers, optimiser, random generator, and the epochs behind it."""

    def __init__(self, torch: Any, recipe: Recipe, data: Dataset) -> None:
        self.torch = torch
        self.recipe = recipe
        self.history: list[Status] = []
        self.data_sha256 = hashlib.sha256(data.images.tobytes() + data.labels.tobytes()).hexdigest()
        self.generator = torch.Generator().manual_seed(recipe.seed)
        order = torch.randperm(len(data), generator=self.generator).numpy()
        held_out, used = np.split(order, [recipe.validation_images])
        self.images = torch.from_numpy(data.images[used])
        self.labels = torch.from_numpy(data.labels[used]).long()
        self.validation = Dataset(data.images[held_out], data.labels[held_out])
        sizes = (data.pixels.shape[1], *recipe.hidden, recipe.classes)
        self.layers = [self._initial_layer(*pair) for pair in itertools.pairwise(sizes)]
        trained = [tensor for layer in self.layers for tensor in (layer.weight, layer.gamma, layer.beta)]
        # `fused` updates in one pass over memory; with it a step takes three quarters of the time.
        self.optimizer = torch.optim.Adam(trained, lr=recipe.learning_rate, fused=True)

    def _initial_layer(self, inputs: int, outputs: int) -> _Layer:
        torch, bound = self.torch, self.recipe.initial_weight
        weight = torch.empty(outputs, inputs).uniform_(-bound, bound, generator=self.generator)
        gamma, beta = torch.ones(outputs), torch.zeros(outputs)
        for tensor in (weight, gamma, beta):
            tensor.requires_grad_()
        return _Layer(weight, gamma, beta, torch.zeros(outputs), torch.ones(outputs))

    def epoch(self, progress: Callable[[Status], None]) -> None:
        """Go once through the training images."""
        torch, size = self.torch, self.recipe.batch_size
        steps = len(self.images) // size
        order = torch.randperm(len(self.images), generator=self.generator)
        loss_sum, correct = 0.0, 0
        for step in range(steps):
            batch = order[step * size : (step + 1) * size]
            self._set_learning_rate(len(self.history) * steps + step, steps)
            loss, right = self._step(self.images[batch], self.labels[batch])
            loss_sum += loss
            correct += right
            done = step + 1
            status = Status(
                len(self.history), self.recipe.epochs, done, steps, loss_sum / done, correct / done / size
            )
            progress(status)
        accuracy = self._validation_accuracy()
        status = Status(status.epoch + 1, status.epochs, 0, steps, status.loss, status.accuracy, accuracy)
        self.history.append(status)
        progress(status)

    def _set_learning_rate(self, step: int, steps: int) -> None:
        rise = (
            min(1.0, (step + 1) / (self.recipe.warmup_epochs * steps)) if self.recipe.warmup_epochs else 1.0
        )
        fall = 0.5 * (1 + math.cos(math.pi * step / (self.recipe.epochs * steps)))
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * rise * fall

    def _step(self, images: Any, labels: Any) -> tuple[float, int]:
        """Learn from one batch; return its mean loss and how many were right."""
        torch = self.torch
        functional = torch.nn.functional
        signs = [_sign(layer.weight.detach()).requires_grad_() for layer in self.layers]
        x = _distort(torch, images, self.recipe, self.generator).flatten(1)
        for layer, weight in zip(self.layers, signs, strict=True):
            if layer is not self.layers[0]:
                soft = functional.hardtanh(x)
                x = _sign(x.detach()) + (
                    soft - soft.detach()
                )  # the value of the sign, the slope of the hard tanh
            x = functional.batch_norm(
                x @ weight.T, layer.mean, layer.variance, layer.gamma, layer.beta, True, _MOMENTUM, EPSILON
            )
        loss = functional.cross_entropy(x, labels)
        self.optimizer.zero_grad()
        loss.backward()
        for layer, weight in zip(self.layers, signs, strict=True):
            layer.weight.grad = weight.grad  # straight through the sign: within -1..1 its slope counts as 1
        self.optimizer.step()
        with torch.no_grad():
            for layer in self.layers:
                layer.weight.clamp_(-1, 1)
        return loss.item(), int((x.argmax(1) == labels).sum())

    def _validation_accuracy(self) -> float | None:
        if not len(self.validation):
            return None
        layers = [_Layer(**(vars(layer) | {"weight": _sign(layer.weight.detach())})) for layer in self.layers]
        with self.torch.no_grad():
            classes = _classes(
                self.torch, layers, self.torch.from_numpy(self.validation.pixels), self.torch.float32
            )
        return float((classes.numpy() == self.validation.labels).mean())

    def _identity(self) -> dict[str, str]:
        """Return what a checkpoint must have been made with to be gone on with."""
        return {"recipe": str(self.recipe), "images": self.data_sha256}

    def save(self, path: Path) -> None:
        """Write everything to a file, whole or not at all."""
        content = {
            **self._identity(),
            "history": [asdict(status) for status in self.history],
            "layers": [
                {name: tensor.detach() for name, tensor in vars(layer).items()} for layer in self.layers
            ],
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                self.torch.save(content, file)
            part.replace(path)
        except OSError as error:
            raise SpinbnnError(
                f"checkpoint {path} cannot be written ({error.strerror}); name a file in a writable folder"
            ) from error
        finally:
            part.unlink(missing_ok=True)

    def resume(self, path: Path) -> None:
        """Take everything from a file that `save` wrote."""
        try:
            content = self.torch.load(path, weights_only=True)
            found = {key: content[key] for key in self._identity()}
        except Exception as error:  # what PyTorch raises for a file that is not its own is not documented
            raise SpinbnnError(
                f"{path} is not a checkpoint of a training run; delete it or name another file"
            ) from error
        for key, value in self._identity().items():
            if found[key] != value:
                raise SpinbnnError(
                    f"checkpoint {path} does not fit the {key}; delete it or name another file"
                )
        for layer, saved in zip(self.layers, content["layers"], strict=True):
            for name, tensor in vars(layer).items():
                tensor.detach().copy_(saved[name])
        self.optimizer.load_state_dict(content["optimizer"])
        self.generator.set_state(content["generator"])
        self.history = [Status(**status) for status in content["history"]]

    def result(self) -> TrainedModel:
        """Return what was trained."""
        layers = tuple(
            TrainedLayer(
                weights=_sign(layer.weight.detach()).numpy().astype(np.int8),
                **{
                    name: getattr(layer, name).detach().numpy().copy()
                    for name in ("gamma", "beta", "mean", "variance")
                },
            )
            for layer in self.layers
        )
        return TrainedModel(
            self.recipe, layers, str(self.torch.__version__), self.data_sha256, tuple(self.history)
        )


def _sign(x: Any) -> Any:
    """Return +1 where x is at least 0, and -1 elsewhere (torch's own sign of 0 is 0)."""
    return (x >= 0).to(x.dtype).mul_(2).sub_(1)


def _classes(torch: Any, layers: list[_Layer], images: Any, dtype: Any) -> Any:
    """Return the classes of images by a trained model."""
    classes = []
    for x in images.split(1000):
        x = x.to(dtype)
        for layer in layers:
            if layer is not layers[0]:
                x = _sign(x)
            x = torch.nn.functional.batch_norm(
                x @ layer.weight.T,
                layer.mean,
                layer.variance,
                layer.gamma,
                layer.beta,
                False,
                _MOMENTUM,
                EPSILON,
            )
        classes.append(x.argmax(1))
    return torch.cat(classes)


def _distort(torch: Any, images: Any, recipe: Recipe, generator: Any) -> Any:
    """Return images, each moved, turned, zoomed and slanted at random; whole pixels, 0 to 255, as float32."""
    count, rows, columns = images.shape
    turn, zoom, shear, right, down = (torch.rand(5, count, generator=generator) * 2 - 1).unbind()
    angle = turn * math.radians(recipe.rotation_degrees)
    size = 1 + zoom * recipe.zoom
    cosine, sine = torch.cos(angle) * size, torch.sin(angle) * size
    # `affine_grid` takes 2 by 3 matrices in coordinates in which an image is 2 wide and 2 high.
    first = torch.stack([cosine, shear * recipe.shear - sine, right * recipe.shift_pixels * 2 / columns], 1)
    second = torch.stack([sine, cosine, down * recipe.shift_pixels * 2 / rows], 1)
    functional = torch.nn.functional
    grid = functional.affine_grid(
        torch.stack([first, second], 1), (count, 1, rows, columns), align_corners=False
    )
    return functional.grid_sample(images[:, None].float(), grid, align_corners=False).round()


def _threshold(layer: TrainedLayer, reach: int) -> Threshold:
    """Return normalisation and sign as thresholds on sums of -reach to reach."""
    return fold_batch_norm(
        layer.gamma, layer.beta, layer.mean, layer.variance, EPSILON, low=-reach, high=reach
    )


def _integer_logits(layer: TrainedLayer, reach: int) -> Affine:
    """Return the last normalisation as integers, for sums of -reach to reach.

    Scales are as large as 16 bits hold, or less where a logit would leave 32 bits.
    """
    scale = layer.gamma / np.sqrt(layer.variance.astype(np.float64) + EPSILON)
    bias = layer.beta - layer.mean * scale
    if not scale.any():
        raise SpinbnnError(
            "the last normalisation must tell classes apart, but all its factors (gamma) are 0"
        )
    largest_logit = (np.abs(scale) * reach + np.abs(bias)).max()
    # Rounding adds up to half a unit to a scale and to a bias: at most reach + 1 to a logit.
    factor = min(_LARGEST_SCALE / np.abs(scale).max(), (_LARGEST_LOGIT - reach - 1) / largest_logit)
    return Affine(np.rint(scale * factor).astype(np.int32), np.rint(bias * factor).astype(np.int32))
