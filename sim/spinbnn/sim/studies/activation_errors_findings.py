"""What the rows of the study of wrong activations say."""

from __future__ import annotations

from collections.abc import Sequence

from spinbnn.sim.line_chart import Axis, Curve
from spinbnn.sim.studies.cells import number, whole
from spinbnn.sim.studies.interval_curves import interval_curves
from spinbnn.sim.studies.statistics import Interval, mean
from spinbnn.sim.studies.study import Band, Chart, Findings, Row, Table, Verdict
from spinbnn.sim.studies.study_recipes import DIGITS, LENET4, NIN
from spinbnn.sim.studies.wording import above_zero, at_most, percent, points

PAPER_RATE = 0.04
"""A few percent."""

_ALLOWED_LOSS = 0.003
_ALL_CLASSES = 10
_NETWORKS = {
    "study_digits": "64-256-256-10",
    "study_lenet4": "LeNet-4",
    "study_nin": "Network-in-Network",
    "study_mnist_256": "784-256-256-10",
}
_EPOCHS = {recipe.name: recipe.epochs for recipe in (DIGITS, LENET4, NIN)}
_NIN_NOTE = (
    "Network-in-Network has three input channels of 32 x 32 pixels: grey images of 28 x 28 are in each of "
    "them, with zeros around. It is trained in bfloat16."
)
_DATA = {"digits": "digits", "mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}


def findings(rows: Sequence[Row]) -> Findings:
    """Read the rows of all settings."""
    few = [_Curve(rows, network, classes) for network, classes in _few(rows)]
    networks = dict.fromkeys(str(row["network"]) for row in rows)
    others = [network for network in networks if network != few[0].network]
    main = [_Curve(rows, network, _ALL_CLASSES) for network in others] or few[-1:]
    return Findings(
        summary=" ".join(map(_summary, main)),
        verdicts=[
            *map(_loss_verdict, main),
            _improvement_verdict(main[0]),
            _classes_verdict(few),
        ],
        tables=[_table(list(dict.fromkeys([*main, *few])))],
        pictures=[*map(_chart, main), _loss_chart(few)],
        notes=[
            "Errors flip activations of +1 and -1 that the next layer reads, anew for each batch, while "
            "training only. Gradients pass as if they had not. Tests have no errors.",
            "Intervals are over trainings from different seeds (Student's); losses are paired by seed.",
            "Trainings are short, so what errors do as a regulariser in long ones is not seen.",
            *([_NIN_NOTE] if "study_nin" in networks else []),
            "With fewer classes there are fewer images, hence fewer steps, and accuracy is nearer to 100 %: "
            "points lost compare networks of different difficulty.",
        ],
    )


class _Curve:
    """Trainings of a network with so many classes, by error rate."""

    def __init__(self, rows: Sequence[Row], network: str, classes: int) -> None:
        self.network, self.classes = network, classes
        data = next(str(row["data"]) for row in rows if row["network"] == network)
        self.of_all_classes = f"{_NETWORKS[network]} on {_DATA[data]}"
        self.title = f"{self.of_all_classes}, {classes} classes"
        self._accuracies: dict[float, list[float]] = {}
        for row in sorted(rows, key=lambda row: number(row, "seed")):
            if (row["network"], row["classes"]) == (network, classes):
                self._accuracies.setdefault(number(row, "activation_error"), []).append(
                    number(row, "accuracy")
                )
        self.rates = sorted(self._accuracies)
        self.best = max(self.rates, key=lambda rate: self.accuracy(rate).value)

    def accuracy(self, rate: float) -> Interval:
        found = mean(self._accuracies[rate])
        return Interval(found.value, max(0.0, found.low), min(1.0, found.high))

    def loss(self, rate: float) -> Interval:
        """Return what errors of a rate cost, paired by training seed."""
        pairs = zip(self._accuracies[0.0], self._accuracies[rate], strict=True)
        return mean([before - after for before, after in pairs])


def _few(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """Return the network that is trained with different numbers of classes, and these, fewest first."""
    network = next(str(row["network"]) for row in rows if row["classes"] != _ALL_CLASSES)
    return [
        (network, classes)
        for classes in sorted({whole(row, "classes") for row in rows if row["network"] == network})
    ]


def _summary(curve: _Curve) -> str:
    return (
        f"{curve.of_all_classes}: trained with {PAPER_RATE:.0%} of its activations wrong and tested without "
        f"errors, it loses {points(curve.loss(PAPER_RATE))} points. It is best when trained with "
        f"{curve.best:.0%} wrong."
    )


def _training(curve: _Curve) -> str:
    epochs = _EPOCHS[curve.network]
    return f"Trainings of {epochs} epoch{'s' if epochs > 1 else ''}"


def _loss_verdict(curve: _Curve) -> Verdict:
    loss = curve.loss(PAPER_RATE)
    return Verdict(
        claim=f"{curve.of_all_classes}: a few percent of the activations may be wrong while it learns, at no "
        "loss.",
        paper="bit error rates of a few percent do not degrade the test accuracy (LeNet-4, "
        "Network-in-Network; not AlexNet on ImageNet)",
        ours=f"{points(loss)} points lost at {PAPER_RATE:.0%}",
        agrees=at_most(loss, _ALLOWED_LOSS),
        why=f"No loss is taken to mean at most {100 * _ALLOWED_LOSS:g} points. {_training(curve)}: what "
        "slows learning down cannot be told from what limits it.",
    )


def _improvement_verdict(curve: _Curve) -> Verdict:
    loss = curve.loss(PAPER_RATE)
    gain = Interval(-loss.value, -loss.high, -loss.low)
    return Verdict(
        claim=f"{curve.of_all_classes}: errors improve the accuracy up to a rate of 4 to 8 %.",
        paper="best at about 4 to 8 % (LeNet-4 on MNIST)",
        ours=f"{points(gain)} points gained at {PAPER_RATE:.0%}; best at {curve.best:.0%}",
        agrees=above_zero(gain),
        why=f"Judged at {PAPER_RATE:.0%}. {_training(curve)}: errors act as a regulariser, which matters in "
        "long ones.",
    )


def _classes_verdict(few: Sequence[_Curve]) -> Verdict:
    highest = few[0].rates[-1]
    losses = [(curve.classes, curve.loss(highest)) for curve in few]
    told = "; ".join(f"{classes} classes {points(loss)}" for classes, loss in losses)
    least, most = losses[0][1], losses[-1][1]
    agrees = None
    if least.high < most.low:
        agrees = True
    elif least.low > most.high:
        agrees = False
    return Verdict(
        claim="With fewer classes, more errors are borne.",
        paper="AlexNet on progressively smaller subsets of ImageNet's classes bears more",
        ours=f"points lost at {highest:.0%}: {told}",
        agrees=agrees,
        why="The first classes of a small data set, not ImageNet. Agrees if the losses with fewest and most "
        "classes have intervals that do not meet.",
    )


def _table(curves: Sequence[_Curve]) -> Table:
    return Table(
        "Accuracy without errors, after training with wrong activations",
        ["network", "activations wrong", "accuracy", "points lost"],
        [
            [curve.title, f"{rate:.0%}", percent(curve.accuracy(rate)), points(curve.loss(rate))]
            for curve in curves
            for rate in curve.rates
        ],
    )


def _chart(curve: _Curve) -> Chart:
    along = [(100 * rate, curve.accuracy(rate)) for rate in curve.rates]
    lowest = min(100 * value.low for _, value in along)
    return Chart(
        f"{curve.of_all_classes}: accuracy without errors",
        Axis("activations wrong while training, %", 0, 100 * curve.rates[-1]),
        Axis("accuracy, %", float(int(lowest)), 100),
        [Curve(curve.title, [(rate, 100 * value.value) for rate, value in along])],
        [Band(0, [(rate, 100 * value.low, min(100.0, 100 * value.high)) for rate, value in along])],
    )


def _loss_chart(curves: Sequence[_Curve]) -> Chart:
    lost = [[(100 * rate, curve.loss(rate)) for rate in curve.rates] for curve in curves]
    most = max(100 * value.high for along in lost for _, value in along)
    least = min(100 * value.low for along in lost for _, value in along)
    drawn, bands = interval_curves({curve.title: along for curve, along in zip(curves, lost, strict=True)})
    return Chart(
        "Accuracy lost by training with wrong activations, by the number of classes",
        Axis("activations wrong while training, %", 0, 100 * curves[0].rates[-1]),
        Axis("points lost", float(int(least) - 1), float(int(most) + 1)),
        drawn,
        bands,
    )
