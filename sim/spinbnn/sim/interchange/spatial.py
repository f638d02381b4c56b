"""Windows as ONNX's attributes give them."""

from spinbnn.sim.interchange.graph import Node
from spinbnn.sim.interchange.problems import Refused

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]


def check_windows(node: Node) -> None:
    """See that the attributes of a convolution or pooling are supported, whatever it works on.

    Raises
    ------
    Refused
        If one is not.
    """
    attributes = node.attributes
    if any(each != 1 for each in attributes.get("dilations", [])):
        raise Refused(f"dilations are {_listed(attributes['dilations'])}", "dilations of 1")
    kernel = attributes.get("kernel_shape")
    if kernel is not None and len(kernel) != 2:
        raise Refused(f"it works in {len(kernel)} dimensions", "2 dimensions, height and width")
    if node.operation == "Conv":
        return
    if any(attributes.get("pads", [])) or attributes.get("auto_pad", "NOTSET").startswith("SAME"):
        raise Refused("it pads the map", "pooling without padding")


def window_of(node: Node, size: Pair, kernel: Pair | None = None) -> tuple[Pair, Pair, Sides]:
    """Return kernel, stride and padding (top, left, bottom, right) on a map of `size`.

    Raises
    ------
    Refused
        If windows are not whole, or the attributes contradict the weights.
    """
    attributes = node.attributes
    shape = attributes.get("kernel_shape", kernel)
    if shape is None or (kernel is not None and tuple(shape) != kernel):
        raise Refused("kernel_shape does not fit the weights", "a kernel_shape equal to that of the weights")
    kernel = _pair(shape)
    stride = _pair(attributes.get("strides", [1, 1]))
    auto_pad = attributes.get("auto_pad", "NOTSET")
    if auto_pad.startswith("SAME"):
        totals = [
            max((-(-length // step) - 1) * step + extent - length, 0)
            for length, step, extent in zip(size, stride, kernel, strict=True)
        ]
        before = [total // 2 if auto_pad == "SAME_UPPER" else total - total // 2 for total in totals]
        behind = [total - first for total, first in zip(totals, before, strict=True)]
        sides = (before[0], before[1], behind[0], behind[1])
    else:
        top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
        sides = (top, left, bottom, right) if auto_pad == "NOTSET" else (0, 0, 0, 0)
    if min(sides) < 0:
        raise Refused(f"pads are {_listed(sides)}", "pads of 0 or more")
    if attributes.get("ceil_mode", 0):
        for length, step, extent in zip(size, stride, kernel, strict=True):
            if (length - extent) % step:
                raise Refused("ceil_mode makes windows that reach over the edge", "ceil_mode 0")
    for length, extent, more in zip(size, kernel, (sides[0] + sides[2], sides[1] + sides[3]), strict=True):
        if extent > length + more:
            raise Refused(
                f"its window of {extent} is larger than the map's {length + more}", "a smaller window"
            )
    return kernel, stride, sides


def _pair(values: list[int]) -> Pair:
    first, second = values
    return first, second


def _listed(values: object) -> str:
    return ", ".join(map(str, values))  # type: ignore[call-overload]
