"""The command ``spinbnn``: parse, call, report.

Exit codes: 0 when everything matched, 1 on a difference, 2 on bad input (one line on standard error, and no
file left behind), 130 when interrupted.
"""

# A parameter is an option of the command line; a command imports what it needs, so that help is quick.
# ruff: noqa: PLC0415

import importlib.metadata
import os
import shlex
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from spinbnn.golden.errors import SpinbnnError
from spinbnn.sim.device_cli import add_device_command
from spinbnn.sim.import_cli import export_model, import_model
from spinbnn.sim.job_options import MATCH_HELP, NETWORK_HELP, SIMULATION, JobOptions, job_options
from spinbnn.sim.machine_options import MACHINE, Machine, geometry_options
from spinbnn.sim.model_cli import model
from spinbnn.sim.output import OUTPUT, Json, check_writable, print_json, print_shown
from spinbnn.sim.report_cli import report
from spinbnn.sim.studies.study_cli import study

# typer brings its own copy of click and exports of its errors only this one.
_UsageError: Any = typer.BadParameter.__base__


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


@app.command()
@geometry_options
@job_options
def run(
    context: typer.Context,
    *,
    machine: Machine,
    asked: JobOptions,
    simulator: Annotated[
        Simulator, typer.Option(help="Which simulator.", rich_help_panel=SIMULATION)
    ] = Simulator.VERILATOR,
    waves: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Record a waveform (FST).", rich_help_panel=SIMULATION),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Simulate parts of many images in so many processes at a time. Without it: one a core.",
            rich_help_panel=SIMULATION,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            " /--no-resume",
            help="Begin anew, also where the same run, interrupted, left finished parts behind.",
            rich_help_panel=SIMULATION,
        ),
    ] = True,
    build_dir: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Builds, logs and reports go here.", rich_help_panel=OUTPUT),
    ] = Path("build/run"),
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The HTML report goes here, not into the build folder.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Program a network into MRAM, run real images on the Verilog, and compare everything with golden.

    Without arguments: the shipped 784-1024-1024-10 network and 200 MNIST test
    images, on 64 banks of 64 bits, at a write error rate of 1e-3. Ends with MATCH
    and exit code 0, or with MISMATCH, the first difference and exit code 1.

    Many images are simulated in parts. An interrupted run goes on where it was when
    the same command is given again.

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
    from dataclasses import replace

    from spinbnn.sim.parts import run_in_parts
    from spinbnn.sim.progress import run_progress

    plan = asked.plan(machine)
    html = html or build_dir / "report.html"
    for path in (build_dir / "report.json", html, *([waves] if waves else [])):
        check_writable(path)
    job = replace(plan.job, build_dir=build_dir, simulator=simulator.value, waves=waves)
    with run_progress() as progress:
        result = run_in_parts(
            job, processes=processes or os.cpu_count() or 1, resume=resume, progress=progress
        )

    from spinbnn.sim.report import Report, to_html, to_json, to_text, write_whole

    report = Report(
        job=job,
        result=result,
        command=context.obj,
        network_source=plan.network_source,
        image_source=plan.image_source,
        device=plan.device,
    )
    document = to_json(report)
    write_whole(build_dir / "report.json", document)
    write_whole(html, to_html(report))
    if as_json:
        typer.echo(document, nl=False)
    else:
        saved = [html, build_dir / "report.json", *([Path(result.waves)] if result.waves else [])]
        print_shown(to_text(report, saved))
    return 0 if result.match else 1


@app.command()
@geometry_options
def generate(
    *,
    machine: Machine,
    network_path: Annotated[
        Path | None,
        typer.Argument(metavar="NETWORK", help=f"{NETWORK_HELP} Its memory images are written, too."),
    ] = None,
    output_dir: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="The folder to write.", rich_help_panel=OUTPUT),
    ],
    match_thresholds: Annotated[
        float | None, typer.Option(metavar="P", help=f"{MATCH_HELP} Needs NETWORK.", show_default=False)
    ] = None,
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
    from spinbnn.sim.named_networks import load_matched

    if network_path is None and match_thresholds is not None:
        raise SpinbnnError(
            f"--match-thresholds {match_thresholds:g} needs a network, whose thresholds it scales"
        )
    network = None if network_path is None else load_matched(network_path, match_thresholds)
    geometry = machine.geometry if network is None else machine.for_network(network)
    manifest = write(output_dir, geometry, network=network, injector=injector)
    if as_json:
        print_json({"output": str(output_dir), "manifest": manifest.to_dict()})
    else:
        from spinbnn.sim import show

        paths = [output_dir / name for name in (*manifest.files, "spinbnn.json")]
        print_shown(show.pairs([(str(path), f"{path.stat().st_size:,} bytes") for path in paths]))
    return 0


@app.command()
@geometry_options
def info(
    path: Annotated[Path, typer.Argument(metavar="FILE", help=f"{NETWORK_HELP} Or a manifest (.json).")],
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
        print_json(document)
    else:
        print_shown(shown)
    return 0


app.command("model")(geometry_options(job_options(model)))
app.command("import")(geometry_options(import_model))
app.command("export")(export_model)
app.command("report")(report)


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
    weight_error_rate: Annotated[
        str,
        typer.Option(
            metavar="P",
            help="Learn with this share of the stored weights wrong, drawn anew for each batch; "
            "P,P for those of -1 and those of +1.",
        ),
    ] = "0",
    activation_error_rate: Annotated[
        float,
        typer.Option(metavar="P", help="Learn with this share of the activations of +1 and -1 wrong."),
    ] = 0.0,
    bfloat16: Annotated[
        bool,
        typer.Option(
            "--bfloat16",
            help="Learn with numbers of 16 bits: gradients are rounded, and convolutions are faster on a "
            "processor with AMX.",
        ),
    ] = False,
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

      spinbnn train --data mnist --weight-error-rate 0.04 -o adapted.npz

      spinbnn train --data cifar10 --network nin --bfloat16

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
    rate_01, rate_10 = _two_rates(weight_error_rate, "--weight-error-rate")
    recipe = replace(
        recipe,
        epochs=epochs or recipe.epochs,
        seed=recipe.seed if seed is None else seed,
        weight_error_01=rate_01,
        weight_error_10=rate_10,
        activation_error=activation_error_rate,
        bfloat16=bfloat16,
    )
    output = output or Path(f"{recipe_name}.npz")
    check_writable(output)
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
        print_json(document)
    else:
        from spinbnn.sim import show

        equal = f"{outcome.equal} of {outcome.images} test images"
        rows = [("accuracy", f"{outcome.accuracy:.2%}"), ("equal to the trained network", equal)]
        print_shown(show.named([("written", str(output)), *rows]))
    return 0 if outcome.equal == outcome.images else 1


def _two_rates(text: str, option: str) -> tuple[float, float]:
    """Return the numbers of ``0.01,0.02``; of one number alone, that twice."""
    try:
        rates = [float(part) for part in text.split(",")]
    except ValueError:
        rates = []
    if len(rates) not in (1, 2):
        raise SpinbnnError(f"{option} must be one number, or two like 0.01,0.02, not {text!r}")
    return rates[0], rates[-1]


add_device_command(app, check_writable, print_shown)
app.command("study")(study)
