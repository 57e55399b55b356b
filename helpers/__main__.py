"""The command line: `python -m helpers COMMAND --help`."""

import ast
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    import click
    import torch
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing.name} is not installed: pip install 'samerep[networks]' brings it")

from .errors import BadInput, unknown
from .networks import datasets, devices, training, weights
from .studies import grid
from .studies import two_networks as imagenet
from .studies.kinds import KINDS
from .studies.store import record as record_study
from .studies.study import Study

RECORDED = tuple(name for name, kind in KINDS.items() if kind.compute)


def seed_list(text: str) -> tuple[int, ...]:
    """ "0,1,2" as numbers; at least one, none twice, all of them what a random generator takes."""
    try:
        seeds = tuple(weights.check_seed(part.strip()) for part in text.split(","))
    except BadInput:
        raise BadInput(f"seeds are '{text}': expected whole numbers from 0 to 2^63 - 1, as in 0,1,2") from None
    if len(set(seeds)) < len(seeds):
        raise BadInput(f"seeds {text} repeat: give each seed once")
    return seeds


def check_name(kind: str, name: str) -> None:
    """The name of a file or folder that lies where it should."""
    if not re.fullmatch(r"[\w-]+", name):
        raise BadInput(f"{kind} name '{name}': expected letters, digits, - and _ only")


@click.group()
def cli() -> None:
    """Fetch data, train networks, record studies, run notebooks, build the book."""


@cli.command()
@click.argument("action", type=click.Choice(["fetch", "verify"]))
@click.argument("name")
def data(action: str, name: str) -> None:
    """Bring a dataset here, or check its hashes. Example: data fetch cifar10"""
    click.echo(datasets.fetch(name) if action == "fetch" else datasets.verify(name))


def many(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of commands that give tasks to workers."""
    jobs = click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Tasks at a time, here.")
    scheduler = click.option("--scheduler", help="A Dask scheduler, as tcp://host:8786: its workers do the tasks.")
    return jobs(scheduler(command))


def device(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --device."""
    return click.option(
        "--device", default=default, show_default=True, help="cpu, cuda, or auto: a GPU if there is one."
    )


@cli.command()
@click.option("--network", required=True)
@click.option("--dataset", default="cifar10", show_default=True)
@click.option("--width", default=1.0, show_default=True)
@click.option("--seeds", default="0,1", show_default=True)
@click.option("--recipe", default="short", show_default=True)
@click.option("--epochs", type=int)
@click.option("--order-seed", type=int, help="Of order and augmentation, if not that of the initialisation.")
@click.option("--target", default="labels", show_default=True, help="labels, rotation, vehicles or shuffled")
@click.option("--fork-after", default=0, help="Start from the run in its own order, after this epoch.")
@device("auto")
@many
def train(seeds: str, order_seed: int | None, device: str, jobs: int, scheduler: str | None, **options: Any) -> None:
    """Train one network per seed, resumably. Example: train --network vgg16_bn --width 0.25 --seeds 0,1,2"""
    options |= {"order_seed": order_seed, "augment_seed": order_seed}
    runs = [training.plan(seed=seed, **options) for seed in seed_list(seeds)]
    with devices.on_device(device), grid.workers(jobs, scheduler):
        grid.train_all([(run, None) for run in runs])
        for run in runs:
            click.echo(training.train(run))


@cli.command()
@click.option("--network", required=True)
@click.option("--dataset", default="cifar10", show_default=True)
@click.option("--width", default=1.0, show_default=True)
@click.option("--seeds", default="0,1", show_default=True)
@click.option("--recipe", default="short", show_default=True)
@click.option("--epochs", type=int)
@click.option("--epoch", type=int, help="Compare the networks after this epoch; 0 is untrained.")
@click.option("--images", type=int, help="So many images of the test set, from the first; all by default.")
@click.option("--sampled", is_flag=True, help="The paper's sampling beside the full test set.")
@click.option("--layers", help="Names with commas; all by default.")
@click.option("--keep", help="Wide layers to keep compressed, too, with commas.")
@click.option("--what", default="seeds", show_default=True, help=f"The kind of study: {', '.join(RECORDED)}.")
@click.option("--block", type=click.IntRange(2), help="Networks that a task compares with as many others.")
@device("cpu")
@many
def record(
    what: str,
    seeds: str,
    layers: str | None,
    keep: str | None,
    device: str,
    jobs: int,
    scheduler: str | None,
    block: int | None,
    **options: Any,
) -> None:
    """Train what is missing, match all layers and pairs, write results/. Example: record --network vgg16_bn"""
    if what not in RECORDED:
        raise unknown("kind of record", what, RECORDED)
    names = {"layers": layers and layers.split(","), "keep": keep.split(",") if keep else ()}
    study = Study(**options | names | {"seeds": seed_list(seeds)})
    with devices.on_device(device), grid.workers(jobs, scheduler, block):
        click.echo(record_study(KINDS[what], study))


def literal(text: str) -> Any:
    """A parameter's value as Python reads it, or the text itself: 0.25, [0, 1], resnet18."""
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # all that literal_eval is known to raise
        return text


@cli.command()
@click.argument("notebook")
@click.option("-p", "--parameter", "parameters", type=(str, str), multiple=True, metavar="NAME VALUE")
@click.option("--page", help="The name of the executed page; the notebook's own by default.")
def run(notebook: str, parameters: tuple[tuple[str, str], ...], page: str | None) -> None:
    """Run one notebook with your own parameters through papermill; the result lies beside the book's pages.

    Example: run network -p network resnet18 -p width 0.25 --page my-resnet18
    """
    from .pages import grid, places, running

    stem = Path(notebook).stem
    if stem not in (names := sorted(path.stem for path in places.NOTEBOOKS.glob("*.py"))):
        raise unknown("notebook", notebook, names)
    if page is not None:
        check_name("page", page)
    values = {name: literal(value) for name, value in parameters}
    default = f"{stem}-own" if values else stem
    click.echo(running.run_page(grid.Page(page or default, stem, page or "Your own run", values)))


@cli.command()
@click.option("--tier", default="published", show_default=True, help="published or smoke")
@click.option(
    "--jobs", default=2, type=click.IntRange(1), show_default=True, help="Notebooks that run at the same time."
)
def book(tier: str, jobs: int) -> None:
    """Run what is stale and build the HTML book. Example: book --tier smoke"""
    from .pages.teaching import slides

    click.echo(f"The book: {slides.build_site(tier, jobs)}")


@cli.command()
@click.argument("target", type=click.Path(path_type=Path), default=Path("_build/book.pdf"))
def pdf(target: Path) -> None:
    """Print the built book, page by page, into one PDF. Example: pdf _build/book.pdf"""
    from .pages import grid, places
    from .pages.pdf import book_pdf

    documents = [page.document for part in grid.read_grid() for page in part.pages]
    click.echo(book_pdf(places.BUILD / "html", documents, target))


@cli.command()
def pairs() -> None:
    """Bring the ipynb half of every notebook, and _toc.yml, in line with their sources."""
    from .pages.pairs import write_pairs

    for path in write_pairs():
        click.echo(path)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path), default="course")
def course(folder: Path) -> None:
    """Write student notebooks, solutions, slides and what they need into FOLDER. Example: course ~/teaching/spring"""
    from .pages.teaching.course import write_course

    for line in write_course(folder):
        click.echo(line)


@cli.command()
@click.option("--images", type=click.Path(path_type=Path), help="A folder of images, or of one folder per class.")
@click.option("--inputs", type=click.Path(path_type=Path), help="An .npz or .npy of inputs, in place of --images.")
@click.option("--loader", help="MODULE:FUNCTION that returns a DataLoader, in place of --images.")
@click.option("--network", help="Architecture, timm:NAME, transformers:FOLDER or MODULE:FUNCTION.")
@click.option("--network-b", help="The architecture of the second network, where it is another one.")
@click.option("--a", default="", help="Weights: a checkpoint file, untrained:SEED, or torchvision's IMAGENET1K_V1.")
@click.option("--b", default="", help="The weights to compare with.")
@click.option("--layers", help="Modules by name, with commas, * and ? allowed; all comparable ones by default.")
@click.option("--layers-b", help="The layers of the second network to set beside them.")
@click.option("--grid", is_flag=True, help="Every layer of the one with every layer of the other.")
@click.option("--measures", help="Other measures too, with commas, such as cka.")
@click.option("--before-relu", is_flag=True, help="What goes into a layer's activation, not what comes out.")
@click.option("--tokens", default="all", show_default=True, help="all, class or mean: what of a sequence is a sample.")
@device("cpu")
@click.option("--statistics", help="What images are normalised by: imagenet, cifar10 or digits.")
@click.option("--size", default=224, show_default=True, help="Images are resized and cut to SIZE × SIZE.")
@click.option("--batch", default=16, show_default=True, help="Images at a time: more need more memory.")
@click.option("--html", type=click.Path(path_type=Path), help="Also write a page to open.")
@click.option("--save", type=click.Path(path_type=Path), help="Also keep the result as a file.")
@click.option("--record", "name", help="Also write results/imagenet-NAME.")
def compare(html: Path | None, save: Path | None, name: str | None, **options: Any) -> None:
    """Match two networks layer by layer on your inputs, streamed: any number of them in the same memory.

    \b
    Example: compare --images ~/imagenet/val --network resnet50 --a IMAGENET1K_V1 --b IMAGENET1K_V2
             compare --images photos --network torchvision:vgg16 --a first.pt --b second.pt --layers features.29
             compare --inputs digits.npz --network mine:small --network-b mine:large --grid --html grid.html
    """
    if name is not None:
        check_name("record", name)
    devices.as_device(options["device"])  # refused before anything is loaded
    found = imagenet.compare_named(**options)
    for line in imagenet.spoken_result(found):
        click.echo(line)
    if html is not None:
        click.echo(found.to_html(html))
    if save is not None:
        click.echo(found.save(save))
    if name is not None:
        known = {key: options[key] for key in ("a", "b", "images", "size", "batch")}
        click.echo(imagenet.write_named(found, name, architecture=options["network"], **known))


def main() -> None:
    """One clear line: exit code 2 on bad input, 1 where the user or a lack of memory stops the work."""
    try:
        sys.exit(cli(standalone_mode=False))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        stop(f"error: {error.format_message()}", error.exit_code)
    except BadInput as error:
        stop(f"error: {error}", 2)
    except click.Abort:
        stop("aborted", 1)
    except (MemoryError, torch.OutOfMemoryError) as error:
        stop(f"error: not enough memory: {str(error).splitlines()[0]}", 1)
    except ModuleNotFoundError as error:
        stop(f"error: {error.name} is not installed: the pages are made in the book's clone, after `make book`", 1)


def stop(text: str, code: int) -> None:
    """Say so on standard error and leave."""
    click.echo(text, err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
