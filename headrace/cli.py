"""The command line."""

from __future__ import annotations

import signal
import sys
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from headrace.bridge import bridge
from headrace.dead_letters import app as dead_letters
from headrace.edge import app as edge
from headrace.evaluate import evaluate
from headrace.fleet import app as fleet
from headrace.rules import app as rules
from headrace.stream import app as stream
from headrace.terminal import data_folder, fail, notices, progress_bar, update

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Headrace: from sensor to spare part.",
)
model = typer.Typer(no_args_is_help=True, help="Models of the edge agent, and of remaining life.")
app.add_typer(model, name="model")
app.add_typer(edge, name="edge")
app.add_typer(fleet, name="fleet")
app.add_typer(dead_letters, name="dead-letters")
app.add_typer(rules, name="rules")
app.add_typer(stream, name="stream")
app.command()(bridge)
app.command()(evaluate)


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        typer.echo(f"headrace {version('headrace')}")
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """Headrace: from sensor to spare part."""
    # Whoever ends us, the processes we started end with us.
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@app.command()
def demo(
    headless: Annotated[
        bool, typer.Option("--headless", help="Run a scenario to its end, without a browser.")
    ] = False,
    scenario: Annotated[
        str, typer.Option(help="Which fault; `--scenario help` lists them.")
    ] = "bearing-wear",
    seed: Annotated[int, typer.Option(help="Of the plant's chance.")] = 1,
    days: Annotated[float, typer.Option(min=0.01, help="Length of the healthy scenario.")] = 1.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object as the last line.")
    ] = False,
    fault_delay: Annotated[
        float, typer.Option(min=0, help="Seconds until the live demo's fault begins.")
    ] = 20.0,
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Go on with what the folder holds.")] = False,
) -> None:
    """Run the whole loop on a simulated bottling plant."""
    from firmware_sim.scenarios import SCENARIOS
    from headrace.broker import BrokerError
    from headrace.client import ApiError
    from headrace.demo import headless as headless_demo
    from headrace.demo import live
    from headrace.supervisor import SupervisorError

    if scenario not in SCENARIOS:
        lines = "\n".join(f"  {name:<20} {s.description}" for name, s in SCENARIOS.items())
        if scenario == "help":
            typer.echo(lines)
            raise typer.Exit
        raise fail(f"--scenario: there is no scenario {scenario!r}; there are\n{lines}")
    try:
        if not headless:
            try:
                live.run(
                    scenario,
                    seed,
                    fault_delay,
                    data_dir or Path(".headrace/demo"),
                    keep,
                    notices.print,
                )
            except KeyboardInterrupt:
                notices.print("stopped")
            return
        with data_folder(data_dir) as folder, progress_bar(scenario) as bar:
            result = headless_demo.run(
                scenario, seed, days, folder, lambda text, done, of: update(bar, text, done, of)
            )
    except (SupervisorError, BrokerError, ApiError) as error:
        raise fail(str(error)) from error
    if as_json:
        typer.echo(result.line())
    else:
        notices.print("closed" if result.closed else result.document.get("reasons", "as it should"))
    raise typer.Exit(0 if result.passed else 1)


@app.command()
def replay(
    path: Annotated[Path, typer.Argument(help="A CSV or Parquet file of sensor data.")],
    time: Annotated[str | None, typer.Option(help="The column with the times.")] = None,
    sep: Annotated[str | None, typer.Option(help="What separates columns.")] = None,
    speed: Annotated[str, typer.Option(help="A factor of real time, or `max`.")] = "max",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept.")] = None,
) -> None:
    """Feed a recording through the whole loop."""
    import json

    from edge_agent.drivers import OptionsError
    from headrace import replay as replaying
    from headrace.broker import BrokerError
    from headrace.client import ApiError
    from headrace.supervisor import SupervisorError

    if not path.is_file():
        raise fail(f"PATH: there is no file {path}")
    if speed != "max":
        try:
            positive = float(speed) > 0
        except ValueError:
            positive = False
        if not positive:
            raise fail(f"--speed: {speed!r} is neither a positive number nor `max`")
    if sep is not None and len(sep) != 1:
        raise fail(f"--sep: {sep!r} is not one character")
    try:
        with data_folder(data_dir) as folder, progress_bar(path.name) as bar:
            result = replaying.run(
                path, time, sep, speed, folder, lambda text, done, of: update(bar, text, done, of)
            )
    except (OptionsError, SupervisorError, BrokerError, ApiError) as error:
        raise fail(str(error)) from error
    if as_json:
        typer.echo(json.dumps(result))
        return
    for alarm in result["alarms"]:
        typer.echo(f"{alarm['sample_time']}  {alarm['severity']:<8}  {alarm['summary']}")
    typer.echo(
        f"{len(result['alarms'])} alarms, {len(result['tickets'])} tickets in {result['rows']} rows"
    )


@model.command()
def train(
    output: Annotated[Path | None, typer.Option(help="Where models and cards go.")] = None,
    equipment_class: Annotated[
        str | None, typer.Option("--class", help="One equipment class; all when left out.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of data and training.")] = 1,
) -> None:
    """Train and quantise the autoencoders that ship with the agent (needs the extra `train`)."""
    from headrace import training

    try:
        training.run(output, equipment_class, seed, notices.print)
    except training.TrainingError as error:
        raise fail(str(error)) from error


@model.command()
def life(
    path: Annotated[Path, typer.Argument(help="Run-to-failure histories: a CSV with a header.")],
    unit_column: Annotated[str, typer.Option("--unit", help="Column that tells units apart.")],
    equipment_class: Annotated[str, typer.Option("--class", help="Equipment class.")],
    output: Annotated[Path, typer.Option(help="Where library (.npz) and card (.json) go.")],
    horizon: Annotated[float, typer.Option(help="Longest life, in rows, that is told apart.")],
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column that is no measurement (repeat it).")
    ] = None,
    row: Annotated[str, typer.Option(help="What a row is: the unit of a life.")] = "cycles",
    hours: Annotated[
        float, typer.Option(help="Hours from row to row, for use in the flow; none for cycles.")
    ] = float("nan"),
    label: Annotated[str, typer.Option("--version", help="Of the library.")] = "1",
    seed: Annotated[int, typer.Option(help="Of training.")] = 1,
) -> None:
    """Learn remaining life from histories of an equipment class, each up to its failure.

    Rows of a unit are in order and evenly apart, the last one is its failure.
    """
    from headrace import life_training

    try:
        with progress_bar("life") as bar:
            library = life_training.run(
                path,
                unit_column,
                tuple(ignore or ()),
                equipment_class,
                horizon,
                row,
                label,
                seed,
                hours,
                lambda text, done, of: update(bar, text, done, of),
            )
        output.mkdir(parents=True, exist_ok=True)
        library.write(output / f"{equipment_class}.npz")
    except (life_training.LifeTrainingError, OSError) as error:
        raise fail(str(error)) from error
    card = library.card
    notices.print(
        f"{library.label}: {card['histories']} histories, {len(library.channels)} channels,"
        f" RMSE of units left out {card['rmse_of_units_left_out']} {library.unit}"
    )


@app.command("new-module")
def new_module(
    name: Annotated[str, typer.Argument(help="A plural noun or the field's name, snake_case.")],
) -> None:
    """Scaffold an ERP module that passes every check."""
    from erp_modules.kernel.errors import ServiceError
    from erp_modules.kernel.scaffold import new_module as scaffold

    try:
        for path in scaffold(name, Path.cwd()):
            typer.echo(path)
    except (ServiceError, ValueError) as error:
        raise fail(str(error)) from error


if __name__ == "__main__":
    sys.exit(app())
