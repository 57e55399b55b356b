"""The command line: `python -m helpers COMMAND --help`."""

import sys

import click

from helpers import datasets, studies, training
from helpers.errors import BadInput


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
    """Fetch data, train networks, record studies."""


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


def main() -> None:
    """One clear line and exit code 2 on bad input."""
    try:
        cli()
    except BadInput as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
