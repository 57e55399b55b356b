"""The command line: `python -m helpers COMMAND --help`."""

from .signals import Stopped, leave_at_once, open_streams

if __name__ == "__main__":
    open_streams()
    leave_at_once()  # what follows imports for seconds

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

try:
    import click
    import torch
    from safetensors import SafetensorError
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing.name} is not installed: pip install 'samerep[networks]' brings it")

from .errors import BadInput, shown
from .files import check_target
from .networks import datasets, devices, training
from .parameters import (
    LARGEST_SEED,
    MOST_EPOCHS,
    Check,
    check_choice,
    check_epochs,
    check_file_name,
    check_names,
    check_parameter,
    check_seeds,
    check_width,
    is_integer,
    literal,
    whole,
)
from .processes import stopping_in_order
from .studies import parallel
from .studies import two_networks
from .studies.kinds import KINDS
from .studies.layer_chance import MOST_ORDERS
from .studies.results import check_page, check_saved
from .studies.store import Kind
from .studies.store import record as record_study
from .studies.study import Study

RECORDED = tuple(name for name, kind in KINDS.items() if kind.compute)


class EachOptionOnce(click.Command):
    """A command that accepts each option once. Of two values click would silently use the last."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        for option in order:
            if isinstance(option, click.Option) and not option.multiple and order.count(option) > 1:
                raise BadInput(f"option {option.opts[0]} is given twice: expected one value")
        return super().parse_args(ctx, args)


class Group(click.Group):
    """A group of commands that accept each option once."""

    command_class = EachOptionOnce


class Value(click.ParamType):
    """The type of an option: its text is read as a Python value and checked as a parameter of that name."""

    name = "value"

    def __init__(self, check: Check, read: Callable[[str], Any] = literal) -> None:
        self.check, self.read = check, read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The checked value. Raises `BadInput` with the name of the option."""
        name = (param and param.name) or self.name
        return self.check(name, self.read(value) if isinstance(value, str) else value)


def seeds_in(text: str) -> Any:
    """The seeds in a text: one, or several with commas."""
    value = literal(text)
    return (value,) if is_integer(value) else value


WIDTH = Value(lambda name, value: check_width(value))
EPOCHS = Value(lambda name, value: check_epochs(value))
SEEDS = Value(lambda name, value: check_seeds(value, 1), seeds_in)
NAMES = Value(check_names, lambda text: text.split(","))


def number(least: int, most: int) -> Value:
    """The type of an option that takes whole numbers in a range."""
    return Value(whole(least, most))


SIZE, SEED, EPOCH = number(1, datasets.LARGEST_SIZE), number(0, LARGEST_SEED), number(0, MOST_EPOCHS)


@click.group(cls=Group)
def cli() -> None:
    """Fetch data, train networks, record studies, run notebooks, build the book."""


@cli.command()
@click.argument("action", type=click.Choice(["fetch", "verify"]))
@click.argument("name")
def data(action: str, name: str) -> None:
    """Bring a dataset here, or check its hashes. Example: data fetch cifar10"""
    click.echo(datasets.fetch(name) if action == "fetch" else datasets.verify(name))


def many(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of commands that give tasks to workers: --jobs and --scheduler."""
    jobs = click.option("--jobs", type=number(1, 256), default=1, show_default=True, help="Tasks at a time, here.")
    scheduler = click.option("--scheduler", help="A Dask scheduler, as tcp://host:8786: its workers do the tasks.")
    return jobs(scheduler(command))


def device(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --device. Where it is not given, $SAMEREP_DEVICE says it."""
    name, text = devices.VARIABLE, "cpu, cuda, or auto: a GPU if there is one."
    return click.option("--device", default=default, show_default=True, envvar=name, show_envvar=True, help=text)


@cli.command()
@click.option("--network", required=True)
@click.option("--dataset", default="cifar10", show_default=True)
@click.option("--width", type=WIDTH, default=1.0, show_default=True)
@click.option("--seeds", type=SEEDS, default="0,1", show_default=True)
@click.option("--recipe", default="short", show_default=True)
@click.option("--epochs", type=EPOCHS)
@click.option("--order-seed", type=SEED, help="Of order and augmentation, if not that of the initialisation.")
@click.option("--target", default="labels", show_default=True, help="labels, rotation, vehicles or shuffled")
@click.option("--fork-after", type=EPOCH, default=0, help="Start from the run in its own order, after this epoch.")
@device("auto")
@many
def train(
    seeds: tuple[int, ...], order_seed: int | None, device: str, jobs: int, scheduler: str | None, **options: Any
) -> None:
    """Train one network per seed; an interrupted training goes on. Example: train --network vgg16_bn --seeds 0,1,2

    A training takes one thread, so that its weights are the same everywhere. More cores help with --jobs.
    """
    options |= {"order_seed": order_seed, "augment_seed": order_seed}
    runs = [training.plan(seed=seed, **options) for seed in seeds]
    with devices.on_device(device), parallel.workers(jobs, scheduler):
        parallel.train_all([(run, None) for run in runs])
        for run in runs:
            click.echo(training.train(run))


@cli.command()
@click.option("--network", required=True)
@click.option("--dataset", default="cifar10", show_default=True)
@click.option("--width", type=WIDTH, default=1.0, show_default=True)
@click.option("--seeds", type=SEEDS, default="0,1", show_default=True)
@click.option("--recipe", default="short", show_default=True)
@click.option("--epochs", type=EPOCHS)
@click.option("--epoch", type=EPOCH, help="Compare the networks after this epoch; 0 is untrained.")
@click.option("--images", type=number(1, 10_000_000), help="The first so many images of the test set; all by default.")
@click.option("--sampled", is_flag=True, help="The paper's sampling beside the full test set.")
@click.option("--layers", type=NAMES, help="Names with commas; all by default.")
@click.option("--keep", type=NAMES, help="Wide layers to keep compressed, too, with commas.")
@click.option("--what", default="seeds", show_default=True, help=f"The kind of study: {', '.join(RECORDED)}.")
@click.option(
    "--setting", "given", type=(str, str), multiple=True, metavar="NAME VALUE", help="As `permutations 20`: see --what."
)
@click.option("--block", type=number(2, 10_000), help="Networks that a task compares with as many others.")
@device("cpu")
@many
def record(
    what: str,
    given: tuple[tuple[str, str], ...],
    keep: tuple[str, ...] | None,
    device: str,
    jobs: int,
    scheduler: str | None,
    block: int | None,
    **options: Any,
) -> None:
    """Train what is missing, match all layers and pairs, write results/. Example: record --network vgg16_bn

    A task takes one thread of linear algebra, as on the pages of the book. More cores help with --jobs.
    """
    kind = KINDS[check_choice("kind of record", what, RECORDED)]
    settings = given_settings(kind, given)
    study = Study(**options, keep=keep or ())
    with devices.on_device(device), devices.on_threads(), parallel.workers(jobs, scheduler, block):
        click.echo(record_study(kind, study, settings))


def given_settings(kind: Kind, given: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The settings of a kind of study by name. Raises `BadInput` for a name it lacks and a value that does not fit."""
    settings = given_parameters(given, "setting")
    for name, value in settings.items():
        default = kind.defaults[check_choice(f"setting of {kind.name}", name, kind.defaults)]
        check_parameter(name, value, list(default) if isinstance(default, tuple) else default)
    return settings


@cli.command()
@click.argument("notebook")
@click.option("-p", "--parameter", "parameters", type=(str, str), multiple=True, metavar="NAME VALUE")
@click.option("--page", help="The name of the executed page; the notebook's name and -own by default.")
@click.option("--html", is_flag=True, help="Also build the page as HTML, in a folder of its own, to open.")
def run(notebook: str, parameters: tuple[tuple[str, str], ...], page: str | None, html: bool) -> None:
    """Run a notebook with your own parameters through papermill; the result lies beside the book's pages.

    NOTEBOOK is the name of one of the book's, or the path of any .py or .ipynb file, which then runs in its folder.

    Example: run network -p network resnet18 -p width 0.25 --page my-resnet18 --html
    """
    from .pages import own, running, single

    executed = running.run_page(own.own_page(notebook, given_parameters(parameters), page))
    click.echo(single.html_of(executed) if html else executed)


def given_parameters(parameters: Sequence[tuple[str, str]], what: str = "parameter") -> dict[str, Any]:
    """Names and values of `-p NAME VALUE`. Raises `BadInput` for a name that is given twice."""
    return {name: literal(text) for name, text in given_once(what, parameters).items()}


def given_once(what: str, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Names with what stands beside them. Raises `BadInput` for a name that is given twice."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"{what} {shown(name)} is given twice: expected one value")
    return dict(pairs)


@cli.command()
@click.option("--tier", default="published", show_default=True, help="published or smoke")
@click.option("--jobs", default=2, type=number(1, 256), show_default=True, help="Notebooks that run at the same time.")
@click.option("--solutions/--no-solutions", default=True, help="Whether the site shows solutions of exercises.")
def book(tier: str, jobs: int, solutions: bool) -> None:
    """Run the pages that are not fresh and build the HTML book. Example: book --tier smoke"""
    from .pages.places import HIDE
    from .pages.teaching import slides

    os.environ[HIDE] = "" if solutions else "1"
    click.echo(f"The book: {slides.build_site(tier, jobs)}")


@cli.command()
@click.argument("target", type=click.Path(path_type=Path), default=Path("_build/book.pdf"))
def pdf(target: Path) -> None:
    """Print the built book, page by page, into one PDF. Example: pdf _build/book.pdf"""
    from .pages import grid, places
    from .pages.pdf import book_pdf
    from .pages.publish import published_at

    check_target(target, "a PDF", lambda start: start.startswith(b"%PDF-"))
    documents = [page.document for part in grid.read_grid() for page in part.pages]
    click.echo(book_pdf(places.BUILD / "html", documents, target, published_at()))


@cli.command()
def pairs() -> None:
    """Update the ipynb half of every notebook, the pages of the code and _toc.yml from their sources."""
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
@click.option(
    "--a",
    default="",
    help="Weights: a file, FILE#KEY of several sets in it, untrained:SEED, or torchvision's IMAGENET1K_V1.",
)
@click.option("--b", default="", help="The weights to compare with.")
@click.option(
    "--layers", type=NAMES, help="Modules by name, with commas, * and ? allowed; all comparable ones by default."
)
@click.option("--layers-b", type=NAMES, help="The layers of the second network to set beside them.")
@click.option("--grid", is_flag=True, help="Every layer of the one with every layer of the other.")
@click.option("--measures", type=NAMES, help="Other measures too, with commas, such as cka.")
@click.option("--chance", type=number(0, MOST_ORDERS), default=0, help="Find what chance gives, from so many orders.")
@click.option("--before-relu", is_flag=True, help="What goes into a layer's activation, not what comes out.")
@click.option("--pool", is_flag=True, help="Average the larger of two maps down. A grid always does.")
@click.option("--mixed", is_flag=True, help="Layers, too, whose output for an input depends on its place in the batch.")
@click.option(
    "--layout", "layouts", type=(str, str), multiple=True, metavar="LAYER LAYOUT", help="Its axes, such as nhwc."
)
@click.option("--tokens", default="all", show_default=True, help="all, class or mean: what of a sequence is a sample.")
@device("cpu")
@click.option("--statistics", help="What images are normalised by: imagenet, cifar10 or digits.")
@click.option("--size", type=SIZE, default=224, show_default=True, help="Images are resized and cut to SIZE × SIZE.")
@click.option("--batch", type=number(1, 65_536), default=16, show_default=True, help="Images at a time.")
@click.option("--html", type=click.Path(path_type=Path), help="Also write a page to open.")
@click.option("--save", type=click.Path(path_type=Path), help="Also keep the result as a file.")
@click.option("--record", "name", help="Also write results/imagenet-NAME.")
def compare(html: Path | None, save: Path | None, name: str | None, **options: Any) -> None:
    """Match two networks layer by layer on your inputs, in one pass: memory does not grow with their number.

    \b
    Example: compare --images ~/imagenet/val --network resnet50 --a IMAGENET1K_V1 --b IMAGENET1K_V2
             compare --images photos --network torchvision:vgg16 --a first.pt --b second.pt --layers features.29
             compare --inputs digits.npz --network mine:small --network-b mine:large --grid --html grid.html
    """
    if name is not None:
        check_file_name("record", name)
    devices.as_device(options["device"])  # refused before anything is loaded
    options["layouts"] = given_once("layout of layer", options["layouts"])
    if options["statistics"] is not None:
        check_choice("statistics", options["statistics"], datasets.STATISTICS)
    if html is not None:
        check_page(html)
    if save is not None:
        check_saved(save)
    if html is not None and save is not None and html.resolve() == save.resolve():
        raise BadInput(f"--html and --save are both {html}: expected two files")
    comparison = two_networks.compare_named(**options)
    written = [write(path) for write, path in ((comparison.to_html, html), (comparison.save, save)) if path is not None]
    if name is not None:
        known = {key: options[key] for key in ("a", "b", "images", "size", "batch")}
        written.append(two_networks.write_named(comparison, name, architecture=options["network"], **known))
    for line in (*two_networks.spoken_result(comparison), *written):  # after the files: nobody may be reading
        click.echo(line)


def main() -> None:
    """Run a command. An error is one clear line with an exit code.

    The code is 2 for bad input, 130 and 143 for signals, and 1 if memory, disk or rights do not suffice. However the
    command ends, the processes that it started end with it.
    """
    try:
        with stopping_in_order():
            sys.exit(cli(standalone_mode=False))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        stop(BadInput(f"error: {error.format_message()}"), error.exit_code)
    except BadInput as error:
        stop(f"error: {error}", 2)
    except Stopped as stopped:
        stop(stopped, stopped.code)
    except click.Abort:
        stop("stopped", 130)
    except (MemoryError, torch.OutOfMemoryError) as error:
        stop(f"error: not enough memory{first_line(error)}; take fewer images, a smaller batch or a smaller size", 1)
    except ModuleNotFoundError as error:
        stop(f"error: {error.name} is not installed: the pages are made in the book's clone, after `make book`", 1)
    except (OSError, SafetensorError) as error:
        stop(f"error: {refusal(error)}", 1)


def first_line(error: BaseException) -> str:
    """The first line of an error's text, after a colon; empty if the error says nothing."""
    lines = str(error).strip().splitlines()
    return f": {lines[0]}" if lines else ""


def refusal(error: Exception) -> str:
    """What the system refused, and for which file, as one line. Of many files that were copied it is the first."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        _, name, reason = error.args[0][0]
        return f"{reason}: {name}"
    name = getattr(error, "filename", None)
    reason = getattr(error, "strerror", None) or first_line(error).removeprefix(": ") or type(error).__name__
    return f"{reason}: {name}" if name else str(reason)


def stop(text: object, code: int) -> None:
    """Print a line on standard error and exit."""
    with suppress(OSError):  # a full disk, a closed pipe or terminal: the code says it
        click.echo(text, err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
