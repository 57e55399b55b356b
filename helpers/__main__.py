"""The command line: `python -m helpers COMMAND --help`."""

import ast
import sys
from pathlib import Path
from typing import Any

import click

from helpers import course as teaching
from helpers import datasets, publish, studies, training
from helpers.errors import BadInput, unknown


def seed_list(text: str) -> tuple[int, ...]:
    """ "0,1,2" as numbers; at least one, none twice."""
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise BadInput(f"seeds are '{text}': expected whole numbers with commas, as in 0,1,2") from None
    if len(set(seeds)) < len(seeds):
        raise BadInput(f"seeds {text} repeat: give each seed once")
    return seeds


@click.group()
def cli() -> None:
    """Fetch data, train networks, record studies, run notebooks, build the book."""


@cli.command()
@click.argument("action", type=click.Choice(["fetch", "verify"]))
@click.argument("name")
def data(action: str, name: str) -> None:
    """Bring a dataset here, or check its hashes. Example: data fetch cifar10"""
    click.echo(datasets.fetch(name) if action == "fetch" else datasets.verify(name))


@cli.command()
@click.option("--network", required=True)
@click.option("--dataset", default="cifar10", show_default=True)
@click.option("--width", default=1.0, show_default=True)
@click.option("--seeds", default="0,1", show_default=True)
@click.option("--recipe", default="short", show_default=True)
@click.option("--epochs", type=int)
def train(network: str, dataset: str, width: float, seeds: str, recipe: str, epochs: int | None) -> None:
    """Train one network per seed, resumably. Example: train --network vgg16_bn --width 0.25 --seeds 0,1,2"""
    for seed in seed_list(seeds):
        click.echo(training.train(training.plan(network, dataset, width, seed, recipe, epochs)))


@cli.command()
@click.option("--network", required=True)
@click.option("--dataset", default="cifar10", show_default=True)
@click.option("--width", default=1.0, show_default=True)
@click.option("--seeds", default="0,1", show_default=True)
@click.option("--recipe", default="short", show_default=True)
@click.option("--epochs", type=int)
@click.option("--epoch", type=int, help="Compare the networks after this epoch; 0 is untrained.")
@click.option("--sampled", is_flag=True, help="The paper's sampling beside the full test set.")
def record(
    network: str,
    dataset: str,
    width: float,
    seeds: str,
    recipe: str,
    epochs: int | None,
    epoch: int | None,
    sampled: bool,
) -> None:
    """Train what is missing, match all layers and pairs, write results/. Example: record --network vgg16_bn"""
    study = studies.Study(
        dataset, network, width, seed_list(seeds), recipe, epochs=epochs, epoch=epoch, sampled=sampled
    )
    click.echo(studies.record(study))


def literal(text: str) -> Any:
    """A parameter's value as Python reads it, or the text itself: 0.25, [0, 1], resnet18."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


@cli.command()
@click.argument("notebook")
@click.option("-p", "--parameter", "parameters", type=(str, str), multiple=True, metavar="NAME VALUE")
@click.option("--page", help="The name of the executed page; the notebook's own by default.")
def run(notebook: str, parameters: tuple[tuple[str, str], ...], page: str | None) -> None:
    """Run one notebook with your own parameters through papermill; the result lies beside the book's pages.

    Example: run network -p network resnet18 -p width 0.25 --page my-resnet18
    """
    stem = Path(notebook).stem
    if stem not in (names := sorted(path.stem for path in publish.NOTEBOOKS.glob("*.py"))):
        raise unknown("notebook", notebook, names)
    values = {name: literal(value) for name, value in parameters}
    default = f"{stem}-own" if values else stem
    click.echo(publish.run_page(publish.Page(page or default, stem, page or "Your own run", values)))


@cli.command()
@click.option("--tier", default="published", show_default=True, help="published or smoke")
@click.option("--jobs", default=2, show_default=True, help="Notebooks that run at the same time.")
def book(tier: str, jobs: int) -> None:
    """Run what is stale and build the HTML book. Example: book --tier smoke"""
    click.echo(f"The book: {publish.build_book(tier, jobs)}")


@cli.command()
def pairs() -> None:
    """Bring the ipynb half of every notebook, and _toc.yml, in line with their sources."""
    for path in publish.write_pairs():
        click.echo(path)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path), default="course")
def course(folder: Path) -> None:
    """Write student notebooks, solutions, slides and what they need into FOLDER. Example: course ~/teaching/spring"""
    for line in teaching.write_course(folder):
        click.echo(line)


def main() -> None:
    """One clear line and exit code 2 on bad input."""
    try:
        cli()
    except BadInput as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
