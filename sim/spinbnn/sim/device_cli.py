"""The command ``spinbnn device``: what a memory technology does under a write pulse."""

# A parameter is an option of the command line; what computes is imported when the command runs.
# ruff: noqa: PLC0415

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spinbnn.golden.errors import TechnologyError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from spinbnn.golden.device.mtj import Pulse
    from spinbnn.golden.device.rram import RramTechnology
    from spinbnn.golden.device.technology import MtjTechnology

DEFAULT_PRESET = "tzoufras2019"

_TECHNOLOGY, _PULSE, _OUTPUT = "Technology", "Write pulse", "Output"

Check = Callable[[Path], None]
Print = Callable[["RenderableType"], None]


def add_device_command(app: typer.Typer, check_writable: Check, print_shown: Print) -> None:
    """Add the command to an application.

    Parameters
    ----------
    app : typer.Typer
    check_writable : callable
        Sees, before anything is made, that a file can be written.
    print_shown : callable
        Prints on standard output.
    """

    @app.command()
    def device(
        context: typer.Context,
        *,
        preset: Annotated[
            str | None,
            typer.Option(
                metavar="NAME",
                help=f"A technology by name; --list has them. Without it: {DEFAULT_PRESET}.",
                show_default=False,
                rich_help_panel=_TECHNOLOGY,
            ),
        ] = None,
        technology_path: Annotated[
            Path | None,
            typer.Option(
                "--technology",
                metavar="FILE",
                help="A technology of your own: a file as --toml prints it, edited.",
                rich_help_panel=_TECHNOLOGY,
            ),
        ] = None,
        list_presets: Annotated[
            bool, typer.Option("--list", help="List the presets.", rich_help_panel=_TECHNOLOGY)
        ] = False,
        toml: Annotated[
            bool,
            typer.Option(
                "--toml",
                help="Print the technology's file, for a copy to be edited.",
                rich_help_panel=_TECHNOLOGY,
            ),
        ] = False,
        voltage: Annotated[
            float | None,
            typer.Option(
                metavar="V",
                help="Across the junction. Without it: the technology's own.",
                show_default=False,
                rich_help_panel=_PULSE,
            ),
        ] = None,
        pulse_ns: Annotated[
            float | None,
            typer.Option(
                metavar="N",
                help="Length in nanoseconds. Without it: the technology's own.",
                show_default=False,
                rich_help_panel=_PULSE,
            ),
        ] = None,
        table_one: Annotated[
            bool,
            typer.Option(
                "--table1",
                help="Only compare with the published Table I of Tzoufras 2019; "
                "exit code 1 if a value is not within what is allowed.",
                rich_help_panel=_OUTPUT,
            ),
        ] = False,
        html: Annotated[
            Path | None,
            typer.Option(
                metavar="FILE", help="Write the tables with curves as one page.", rich_help_panel=_OUTPUT
            ),
        ] = None,
        as_json: Annotated[
            bool,
            typer.Option(
                "--json",
                help="Print JSON, and nothing else, on standard output.",
                rich_help_panel=_OUTPUT,
            ),
        ] = False,
    ) -> int:
        """Show what a memory technology does: from a write pulse to wrong bits, energy and lifetime.

        A technology is a file of numbers, each with unit, status (measured,
        published, computed or assumed) and source. From it come the write error
        rate against voltage and time, what weaker pulses save, the mean over the
        spread of an array's cells, the window between reading, writing and
        breakdown, endurance, retention, and errors of reading. docs/mram.md
        explains the models.

        A WER is per attempted switch, a BER per stored bit: where a bit need not
        change, a pulse cannot fail, so of random data half the failures never
        happen.

        [bold]Examples[/]

          spinbnn device

          spinbnn device --table1

          spinbnn device --voltage 0.53 --pulse-ns 10

          spinbnn device --preset hfo2_rram --html rram.html

          spinbnn device --preset tzoufras2019 --toml > mine.toml

          spinbnn device --technology mine.toml --json
        """
        from spinbnn.golden.device.technology import technology_text
        from spinbnn.sim import device_report

        if list_presets:
            _emit(device_report.presets(), as_json, print_shown)
            return 0
        if preset is not None and technology_path is not None:
            raise TechnologyError(
                f"--technology must be left out with --preset {preset}, not {technology_path}"
            )
        technology = _load(preset, technology_path)
        if toml:
            typer.echo(technology_text(technology_path or preset or DEFAULT_PRESET), nl=False)
            return 0
        if table_one:
            if html is not None:
                raise TechnologyError(
                    f"--html must be left out with --table1, which is text or JSON, not {html}"
                )
            table = device_report.table_one(technology)
            _emit(table, as_json, print_shown)
            return 0 if all(row["within"] for row in table.to_list()) else 1
        report = device_report.device_report(technology, _pulse(technology, voltage, pulse_ns))
        if html is not None:
            from spinbnn.sim.device_charts import charts
            from spinbnn.sim.report import write_whole

            check_writable(html)
            page = device_report.to_html(report, charts(technology, report.pulse), context.obj)
            write_whole(html, page)
        if as_json:
            typer.echo(device_report.to_json(report.to_dict()), nl=False)
        else:
            print_shown(device_report.to_text(report.sections, report.title))
            if html is not None:
                typer.echo(f"\n{html}")
        return 0


def _load(preset: str | None, path: Path | None) -> "MtjTechnology | RramTechnology":
    from spinbnn.golden.device.technology import load_technology, preset_names

    if path is not None:
        if not path.is_file():
            raise TechnologyError(f"--technology must be a TOML file, not {path}, which is none")
        return load_technology(path)
    name = preset or DEFAULT_PRESET
    if name not in preset_names():
        raise TechnologyError(f"--preset must be one of {', '.join(preset_names())}, not '{name}'")
    return load_technology(name)


def _pulse(
    technology: "MtjTechnology | RramTechnology", voltage: float | None, pulse_ns: float | None
) -> "Pulse | None":
    """Return the pulse that is asked for, or None for the technology's own."""
    from spinbnn.golden.device.mtj import Pulse
    from spinbnn.golden.device.technology import MtjTechnology

    if voltage is None and pulse_ns is None:
        return None
    if not isinstance(technology, MtjTechnology):
        option = "--voltage" if voltage is not None else "--pulse-ns"
        raise TechnologyError(
            f"{option} must be left out for {technology.name}, a resistive memory, "
            "of which only energies are known"
        )
    for option, value in (("--voltage", voltage), ("--pulse-ns", pulse_ns)):
        if value is not None and not value > 0:
            raise TechnologyError(f"{option} must be above 0, not {value:g}")
    return Pulse(
        technology.write_voltage_v if voltage is None else voltage,
        technology.write_ns if pulse_ns is None else pulse_ns,
    )


def _emit(section: Any, as_json: bool, print_shown: Print) -> None:
    from spinbnn.sim.device_report import to_json, to_text

    if as_json:
        typer.echo(to_json({section.key: section.to_list()}), nl=False)
    else:
        print_shown(to_text([section]))
