"""The command ``spinbnn``: parse, call, report.

Exit codes: 0 when everything matched, 1 on a difference, 2 on bad input (one line on standard error, and no
file left behind), 130 when interrupted.
"""

# A parameter is an option of the command line; a command imports what it needs, so that help is quick.
# ruff: noqa: PLC0415, PLR0913

import functools
import importlib.metadata
import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from spinbnn.golden.errors import DataError, OperatingPointError, SpinbnnError, TechnologyError
from spinbnn.sim.assets import MNIST_NETWORK, SHIPPED_NETWORKS
from spinbnn.sim.device_cli import add_device_command
from spinbnn.sim.import_cli import export_model, import_model
from spinbnn.sim.machine_options import MACHINE, Machine, geometry_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import RenderableType

    from spinbnn.golden.network import Network
    from spinbnn.sim.device_point import DevicePoint
    from spinbnn.sim.job import Progress, StallProfile

# typer brings its own copy of click and exports of its errors only this one.
_UsageError: Any = typer.BadParameter.__base__

_WRITE_ERROR_RATE = 1e-3  # of a run that names no other
_ERRORS, _MEMORY, _IMAGES = "Write errors", "Memory", "Images"
_SIMULATION, _OUTPUT = "Simulation", "Output"


class Simulator(StrEnum):
    """The simulators there are."""

    VERILATOR = "verilator"
    ICARUS = "icarus"


class _Commands(TyperGroup):
    """The commands; whatever goes wrong in them is one line on standard error and an exit code."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **kwargs: Any) -> Any:
        args = (sys.argv[1:] if args is None else list(args)) or ["--help"]
        kwargs |= {"standalone_mode": False, "obj": shlex.join(["spinbnn", *args])}
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # a terminal that has no µ must not end a run
        try:
            code = super().main(args, *rest, **kwargs)
        except _UsageError as error:
            code = _fail(f"{error.format_message()} (see {_command_path(error)} --help)")
        except SpinbnnError as error:
            code = _fail(str(error))
        except (KeyboardInterrupt, typer.Abort):
            code = 130
        if code == 130:
            typer.echo("spinbnn: interrupted", err=True)
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> int:
    typer.echo(f"spinbnn: error: {' '.join(message.split())}", err=True)
    return 2


def _command_path(error: Any) -> str:
    return error.ctx.command_path if error.ctx is not None else "spinbnn"


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def main() -> None:
    """Run the command line."""
    # NumPy reads it when it is imported. In products of matrices as small as ours, threads only wait for each
    # other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    app(prog_name="spinbnn")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spinbnn {importlib.metadata.version('spinbnn')}")
        raise typer.Exit


@app.callback()
def spinbnn(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Binarized neural networks in MRAM: generate the hardware, run it, prove it.

    [bold]spinbnn run[/] does everything once: it generates the accelerator,
    programs a trained network into its MRAM with write errors, streams real
    images through the Verilog in a simulator, and compares every result, stored
    bit, counter and clock with the golden model. It needs no argument.
    """


Json = Annotated[
    bool,
    typer.Option("--json", help="Print JSON, and nothing else, on standard output.", rich_help_panel=_OUTPUT),
]
_SHIPPED = Path(MNIST_NETWORK.stem)
_NETWORK_HELP = (
    f"A network file (.npz); a trained network that is shipped: {', '.join(SHIPPED_NETWORKS)}; or a preset, "
    "with random weights: xnor-alexnet, for instance."
)


@app.command()
@geometry_options
def run(
    context: typer.Context,
    *,
    machine: Machine,
    network_path: Annotated[Path, typer.Argument(metavar="NETWORK", help=_NETWORK_HELP)] = _SHIPPED,
    images: Annotated[
        int,
        typer.Option("--images", "-n", metavar="N", min=1, help="How many images.", rich_help_panel=_IMAGES),
    ] = 200,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Take the test images of this folder (idx or npz files, CIFAR-10 batches). Without it: "
            "shipped test images of what the network was trained on; random ones for random weights.",
            rich_help_panel=_IMAGES,
        ),
    ] = None,
    write_error_rate: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            help=f"Probability that writing a bit fails, both ways. Without it: {_WRITE_ERROR_RATE:g}.",
            show_default=False,
            rich_help_panel=_ERRORS,
        ),
    ] = None,
    p_fail_01: Annotated[
        float | None,
        typer.Option(metavar="P", help="The same, from 0 to 1 only.", rich_help_panel=_ERRORS),
    ] = None,
    p_fail_10: Annotated[
        float | None,
        typer.Option(metavar="P", help="The same, from 1 to 0 only.", rich_help_panel=_ERRORS),
    ] = None,
    technology: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Take write errors and energies from a write pulse on this memory technology: "
            "a preset (see spinbnn device --list) or a file of your own.",
            rich_help_panel=_ERRORS,
        ),
    ] = None,
    voltage: Annotated[
        float | None,
        typer.Option(
            metavar="V",
            help="Of that pulse. Without it: the technology's own.",
            show_default=False,
            rich_help_panel=_ERRORS,
        ),
    ] = None,
    pulse_ns: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="Length of that pulse. Without it: the technology's own.",
            show_default=False,
            rich_help_panel=_ERRORS,
        ),
    ] = None,
    max_retries: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Read back, and write failed bits again, so often.",
            rich_help_panel=_ERRORS,
        ),
    ] = 0,
    pulse_redundant: Annotated[
        bool,
        typer.Option(
            "--pulse-redundant",
            help="Pulse the bits that already hold their value, too.",
            rich_help_panel=_ERRORS,
        ),
    ] = False,
    blind: Annotated[
        bool,
        typer.Option(
            "--blind",
            help="Write without reading the row first, and so pulse all its bits.",
            rich_help_panel=_ERRORS,
        ),
    ] = False,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            "--layer",
            metavar="N=P",
            help="Write layer N (from 0) at its own write error rate P, or, with --technology, at P volts; "
            "for up to three layers.",
            rich_help_panel=_ERRORS,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Seed of the write errors.", rich_help_panel=_ERRORS)
    ] = 1,
    chip_seed: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Seed of what is fixed in a chip: the classes of its cells, its sense amplifiers.",
            rich_help_panel=_MEMORY,
        ),
    ] = 1,
    stuck_fraction: Annotated[
        float,
        typer.Option(metavar="P", help="Cells that never switch.", rich_help_panel=_MEMORY),
    ] = 0.0,
    age: Annotated[
        float,
        typer.Option(
            metavar="P", help="Flip each stored bit with this probability.", rich_help_panel=_MEMORY
        ),
    ] = 0.0,
    years: Annotated[
        float,
        typer.Option(
            metavar="N",
            help="Let the array age by so many years, by the technology's retention.",
            rich_help_panel=_MEMORY,
        ),
    ] = 0.0,
    scrub: Annotated[
        bool,
        typer.Option(
            "--scrub", help="Then program what each row reads (corrected).", rich_help_panel=_MEMORY
        ),
    ] = False,
    activation_error_rate: Annotated[
        float,
        typer.Option(
            metavar="P",
            help="Keep activations in MRAM, where each bit is stored wrong with this probability.",
            rich_help_panel=_MEMORY,
        ),
    ] = 0.0,
    simulator: Annotated[
        Simulator, typer.Option(help="Which simulator.", rich_help_panel=_SIMULATION)
    ] = Simulator.VERILATOR,
    backdoor: Annotated[
        bool,
        typer.Option(
            "--backdoor",
            help="Put the array with its write errors into the simulator's memory, without programming it.",
            rich_help_panel=_SIMULATION,
        ),
    ] = False,
    stalls: Annotated[
        int | None,
        typer.Option(
            metavar="SEED",
            min=0,
            help="Stall every stream at random, with this seed.",
            rich_help_panel=_SIMULATION,
        ),
    ] = None,
    waves: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Record a waveform (FST).", rich_help_panel=_SIMULATION),
    ] = None,
    build_dir: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Builds, logs and reports go here.", rich_help_panel=_OUTPUT),
    ] = Path("build/run"),
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The HTML report goes here, not into the build folder.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Program a network into MRAM, run real images on the Verilog, and compare everything with golden.

    Without arguments: the shipped 784-1024-1024-10 network and 200 MNIST test
    images, on 64 banks of 64 bits, at a write error rate of 1e-3. Ends with MATCH
    and exit code 0, or with MISMATCH, the first difference and exit code 1.

    [bold]Examples[/]

      spinbnn run

      spinbnn run --write-error-rate 0.01 --max-retries 2

      spinbnn run --p-fail-01 1e-4 --p-fail-10 1e-2 --pulse-redundant

      spinbnn run --technology tzoufras2019 --voltage 0.61 --pulse-ns 10

      spinbnn run --memory secded --write-error-rate 0.003 --age 1e-3 --scrub

      spinbnn run --layer 1=0.03 --layer 2=1e-6 --activation-error-rate 0.01

      spinbnn run --images 10000 --data mnist --json > report.json

      spinbnn run --images 2 --waves run.fst

      spinbnn run small.npz --data mnist --geometry 8x16x3 --simulator icarus
    """
    from spinbnn.golden.operating_point import operating_point
    from spinbnn.golden.technology import READ_BIT_ENERGY_AJ
    from spinbnn.sim.job import RunJob, run_job
    from spinbnn.sim.memory_plan import MemoryRequest, parse_layers, plan_memory
    from spinbnn.sim.named_networks import load_named

    for name, probability in (
        ("--write-error-rate", write_error_rate),
        ("--p-fail-01", p_fail_01),
        ("--p-fail-10", p_fail_10),
    ):
        if probability is not None and not 0 <= probability <= 1:
            raise OperatingPointError(f"{name} must be a probability from 0 to 1, not {probability}")
    device = _device_point(
        technology,
        {"--voltage": voltage, "--pulse-ns": pulse_ns},
        {"--write-error-rate": write_error_rate, "--p-fail-01": p_fail_01, "--p-fail-10": p_fail_10},
    )
    request = MemoryRequest(
        layers=parse_layers(layer or [], "--layer"),
        age=age,
        years=years,
        scrub=scrub,
        stuck_fraction=stuck_fraction,
        chip_seed=chip_seed,
        activation_error_rate=activation_error_rate,
    )
    network = load_named(network_path)
    shown = _load_images(data, images, network)
    how: Any = {"max_retries": max_retries, "pulse_redundant": pulse_redundant, "blind": blind}
    html = html or build_dir / "report.html"
    for path in (build_dir / "report.json", html, *([waves] if waves else [])):
        _check_writable(path)
    job = RunJob(
        network=network,
        images=shown.pixels,
        labels=shown.labels,
        geometry=request.build(machine.for_network(network)),
        point=operating_point(
            _WRITE_ERROR_RATE if write_error_rate is None else write_error_rate,
            write_error_rate_01=p_fail_01,
            write_error_rate_10=p_fail_10,
            **how,
        ),
        build_dir=build_dir,
        seed=seed,
        read_bit_energy_aj=READ_BIT_ENERGY_AJ if device is None else device.read_bit_energy_aj,
        simulator=simulator.value,
        loading="backdoor" if backdoor else "front-door",
        stalls=None if stalls is None else _stall_profile(stalls),
        waves=waves,
    )
    job = plan_memory(job, request, device, functools.partial(operating_point, **how))
    with _progress() as progress:
        result = run_job(job, progress=progress)

    from spinbnn.sim.report import Report, to_html, to_json, to_text, write_whole

    report = Report(job, result, context.obj, str(network_path), shown.source, device)
    document = to_json(report)
    write_whole(build_dir / "report.json", document)
    write_whole(html, to_html(report))
    if as_json:
        typer.echo(document, nl=False)
    else:
        saved = [html, build_dir / "report.json", *([Path(result.waves)] if result.waves else [])]
        _print(to_text(report, saved))
    return 0 if result.match else 1


@app.command()
@geometry_options
def generate(
    *,
    machine: Machine,
    network_path: Annotated[
        Path | None,
        typer.Argument(metavar="NETWORK", help=f"{_NETWORK_HELP} Its memory images are written, too."),
    ] = None,
    output_dir: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="The folder to write.", rich_help_panel=_OUTPUT),
    ],
    injector: Annotated[
        bool,
        typer.Option(
            " /--no-injector",
            help="Leave out the write-error injector, as on an ASIC.",
            rich_help_panel=MACHINE,
        ),
    ] = True,
    as_json: Json = False,
) -> int:
    """Write the accelerator as Verilog, with all that belongs to it.

    The folder gets the Verilog, a JSON manifest (parameters, ports, registers,
    hashes), a FuseSoC core file, Verilator waivers, and the register map as
    SystemRDL, C header and document. The hardware runs any network that fits; with
    NETWORK, the folder also gets what makes it run that one: the contents of its
    tables and of the program stream, for $readmemh.

    [bold]Examples[/]

      spinbnn generate -o build/verilog

      spinbnn generate -o asic --no-injector --banks 32 --rows 1024

      spinbnn generate mnist_1024 -o build/verilog --banks 96
    """
    from spinbnn.hw.generator import generate as write
    from spinbnn.sim.named_networks import load_named

    network = None if network_path is None else load_named(network_path)
    geometry = machine.geometry if network is None else machine.for_network(network)
    manifest = write(output_dir, geometry, network=network, injector=injector)
    if as_json:
        _print_json({"output": str(output_dir), "manifest": manifest.to_dict()})
    else:
        from spinbnn.sim import show

        paths = [output_dir / name for name in (*manifest.files, "spinbnn.json")]
        _print(show.pairs([(str(path), f"{path.stat().st_size:,} bytes") for path in paths]))
    return 0


@app.command()
@geometry_options
def info(
    path: Annotated[Path, typer.Argument(metavar="FILE", help=f"{_NETWORK_HELP} Or a manifest (.json).")],
    *,
    machine: Machine,
    as_json: Json = False,
) -> int:
    """Say what a network file or a manifest holds.

    Of a network: its layers, where they lie in a machine, and the clocks an image
    takes there. Of a manifest: parameters, ports, registers and hash of the
    generated hardware.

    [bold]Examples[/]

      spinbnn info mnist_1024

      spinbnn info mine.npz --geometry 16x32 --json

      spinbnn info build/verilog/spinbnn.json
    """
    from spinbnn.sim import describe
    from spinbnn.sim.named_networks import load_named

    if path.suffix == ".json":
        document, shown = describe.manifest(path)
    else:
        document, shown = describe.network(load_named(path), str(path), machine)
    if as_json:
        _print_json(document)
    else:
        _print(shown)
    return 0


app.command("import")(geometry_options(import_model))
app.command("export")(export_model)


@app.command()
def train(
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A folder with the idx or npz files of an image set, such as MNIST's, or with CIFAR-10's "
            "batches. Network digits takes scikit-learn's without it.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The network file to write. Without it: NAME.npz.",
            show_default=False,
        ),
    ] = None,
    recipe_name: Annotated[
        str,
        typer.Option(
            "--network",
            "--recipe",
            metavar="NAME",
            help="What to train: mnist_1024, mnist_128, or one of the presets, such as lenet4 or cnv.",
        ),
    ] = "mnist_1024",
    epochs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Passes over the training images. Overrides the network's."),
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help="Overrides the network's.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted training stopped (FILE.checkpoint).")
    ] = False,
    as_json: Json = False,
) -> int:
    """Train a binarized network on the CPU and export it as a network file.

    Needs PyTorch, the extra "train" of this package. The exported integer network
    is compared with the trained one on all test images; exit code 0 only if every
    class is equal.

    [bold]Examples[/]

      spinbnn train --data mnist

      spinbnn train --data mnist --network lenet4 -o mine.npz

      spinbnn train --data mnist --resume
    """
    from dataclasses import replace

    from spinbnn.golden.network_file import save_network
    from spinbnn.sim import training
    from spinbnn.sim.datasets import load_split
    from spinbnn.sim.image_formats import digits_folder

    if recipe_name not in training.RECIPES:
        raise SpinbnnError(f"--network must be one of {', '.join(training.RECIPES)}, not '{recipe_name}'")
    recipe = training.RECIPES[recipe_name]
    if data is None and recipe_name != "digits":
        raise SpinbnnError(f"--data must name a folder with the images to train network '{recipe_name}' on")
    data = data or digits_folder()
    recipe = replace(recipe, epochs=epochs or recipe.epochs, seed=recipe.seed if seed is None else seed)
    output = output or Path(f"{recipe_name}.npz")
    _check_writable(output)
    test = load_split(data, "test")
    checkpoint = output.with_name(f"{output.name}.checkpoint")
    if checkpoint.exists() and not resume:
        raise SpinbnnError(
            f"{checkpoint} is left from an interrupted training: give --resume to go on, or delete it"
        )
    if resume and not checkpoint.exists():
        raise SpinbnnError(f"{checkpoint} does not exist, so there is nothing to resume: leave out --resume")
    with training.progress_bar(recipe) as progress:
        model = training.train(recipe, data, checkpoint, progress)
    network, outcome = training.export_tested(model, test)
    save_network(network, output)
    checkpoint.unlink()
    document = {
        "output": str(output),
        "test_images": outcome.images,
        "test_equal": outcome.equal,
        "test_accuracy": outcome.accuracy,
    }
    if as_json:
        _print_json(document)
    else:
        from spinbnn.sim import show

        equal = f"{outcome.equal} of {outcome.images} test images"
        rows = [("accuracy", f"{outcome.accuracy:.2%}"), ("equal to the trained network", equal)]
        _print(show.named([("written", str(output)), *rows]))
    return 0 if outcome.equal == outcome.images else 1


class _Images(NamedTuple):
    """Images of a run, uint8 [n, inputs], their labels, and where they came from."""

    pixels: "NDArray[np.uint8]"
    labels: "NDArray[np.uint8] | None"
    source: str


def _load_images(data_dir: Path | None, count: int, network: "Network") -> "_Images":
    """Return the first images of a folder's test set, or of the shipped ones."""
    from spinbnn.sim.datasets import bundled_images_for, load_split
    from spinbnn.sim.named_networks import is_random, random_images

    if data_dir is not None:
        source = f"the test images in {data_dir}"
        found = load_split(data_dir, "test")
        try:
            dataset = found.fitted(network)
        except DataError as error:
            raise DataError(f"{source}: {error}: name a folder with images that do with --data") from None
    elif is_random(network):
        return _Images(random_images(network, count), None, "random images")
    else:
        try:
            dataset, name = bundled_images_for(network)
        except DataError as error:
            raise DataError(f"shipped {error}: name a folder with images that do with --data") from None
        source = f"the shipped {name} test images"
    if count > len(dataset):
        raise DataError(f"--images must be at most {len(dataset)}, the number of {source}, not {count}")
    head = dataset.head(count)
    return _Images(head.pixels, head.labels, source)


def _device_point(
    technology: str | None, of_pulse: dict[str, float | None], of_rates: dict[str, float | None]
) -> "DevicePoint | None":
    """Return the write pulse that a run is asked for, or None where it is given error rates."""
    if technology is None:
        for option, value in of_pulse.items():
            if value is not None:
                raise TechnologyError(
                    f"--technology must be given with {option} {value:g}, to say what the pulse is on"
                )
        return None
    for option, value in of_rates.items():
        if value is not None:
            raise TechnologyError(
                f"{option} must be left out with --technology {technology}, "
                f"whose pulse decides, not {value:g}"
            )
    for option, value in of_pulse.items():
        if value is not None and not value > 0:
            raise TechnologyError(f"{option} must be above 0, not {value:g}")
    from spinbnn.sim.device_point import DevicePoint

    return DevicePoint.load(technology, of_pulse["--voltage"], of_pulse["--pulse-ns"])


def _stall_profile(seed: int) -> "StallProfile":
    """Return stalls that hold back every interface a quarter of the time."""
    from spinbnn.sim.job import StallProfile

    return StallProfile(seed, image_idle=0.25, program_idle=0.25, result_pause=0.25, axi_idle=0.25)


def _check_writable(path: Path) -> None:
    """See, before anything is made, that a file can be written here."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise SpinbnnError(f"{path} cannot be written: name a file in a writable folder")


@contextmanager
def _progress() -> "Iterator[Progress]":
    """Show the stages of a run on standard error: bars on a terminal, else a line a stage."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False)
    tasks: dict[str, TaskID] = {}
    columns = (
        TextColumn("{task.description:>8}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=None)
                if not console.is_terminal:
                    console.print(f"spinbnn: {stage}")
            # Of a stage in one piece only the time that has passed is known.
            bars.update(tasks[stage], completed=done, total=total if done or total > 1 else None)

        yield show


def _print(shown: "RenderableType") -> None:
    from rich.console import Console

    Console(highlight=False).print(shown, crop=False)  # a long verdict stays one line


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, indent=2))


add_device_command(app, _check_writable, _print)
