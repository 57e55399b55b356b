"""Show tables and figures: one style for all pages, tables without an index, moving figures that need no network."""

import base64
import html
import io
import math
import os
import re
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import HTML, display
from matplotlib.figure import Figure

from .filled import with_minus

PALETTE = "colorblind"
ROWS = 20  # so many rows of a table are shown
NAME, SENTENCE = 20, 60  # a cell with more characters is a long name, or a sentence
PLOTLY_SCRIPT = "../../_static/plotly.min.js"  # its place in the built book, relative to book/pages/
WORDS = {
    "seed_a": "seed a",
    "seed_b": "seed b",
    "epsilon": "ε",
    "critical_epsilon": "critical ε",
    "train_seconds": "training time in s",
}


def style() -> None:
    """Set the style of all figures: white background, colour-blind-safe colours, readable text, sharp matrices.

    In dark mode the page turns their lightness and keeps their hues (book.css).
    """
    sns.set_theme(context="notebook", style="whitegrid", palette=PALETTE)
    plt.rcParams.update(
        {
            "figure.figsize": (7.2, 4.0),
            "figure.constrained_layout.use": True,
            "figure.dpi": 110,
            "axes.titlesize": "medium",
            "legend.frameon": False,
            "image.interpolation": "none",
        }
    )


def readable(value: Any, digits: int = 3) -> str:
    """The text of a cell: numbers with `digits` decimals, inf (no ε in [0, 1) matches) as "never", NaN as "–"."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        if math.isnan(value):
            return "–"
        return "never" if math.isinf(value) else with_minus(f"{value:.{digits}f}")
    return with_minus(str(value)) if isinstance(value, int | np.integer) else str(value)


def table(frame: pd.DataFrame, digits: int = 3, label: str = "Table", rows: int = ROWS) -> HTML:
    """A data frame without its index, with words for column names. Wide tables scroll inside their own region.

    A cell that holds HTML is passed as `Markup`; everything else is escaped. Of a long table the first `rows` rows are
    shown, and the whole table can be downloaded.
    """
    whole, frame = frame, frame.head(rows)
    rest = f"{label}: first {rows} of {len(whole)} rows" if len(whole) > rows else ""
    more = f"<p>{html.escape(rest)}</p>{_link(whole, label, 'Download all rows')}" if rest else ""
    names = [html.escape(str(WORDS.get(str(c), str(c).replace("_", " ")))) for c in frame.columns]
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join(f"<tr>{''.join(_cell(v, digits) for v in row)}</tr>" for row in frame.itertuples(index=False))
    return HTML(
        f'<div class="table-scroll" role="group" tabindex="0" aria-label="{html.escape(label, quote=True)}">'
        f'<table class="dataframe"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{more}'
    )


class Markup(str):
    """Text that is already HTML, such as a link. `table` does not escape it."""


def _cell(value: Any, digits: int) -> str:
    """One cell. A number is aligned to the right. A long name and a sentence get enough width."""
    text = value if isinstance(value, Markup) else html.escape(readable(value, digits))
    length = len(re.sub("<[^>]*>", "", text))  # of what is seen
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    kind = "number" if number else "sentence" if length > SENTENCE else "name" if length > NAME else ""
    return f'<td class="{kind}">{text}</td>' if kind else f"<td>{text}</td>"


def download(frame: pd.DataFrame, name: str) -> HTML:
    """A link that saves the table as NAME.csv. The page itself holds the data, so the link needs no server."""
    return HTML(_link(frame, name, "Download the data of this figure"))


def _link(frame: pd.DataFrame, name: str, words: str) -> str:
    data = base64.b64encode(frame.to_csv(index=False).encode()).decode()
    file = html.escape(re.sub(r"\W+", "-", name).strip("-").lower() + ".csv", quote=True)
    return (
        f'<p class="download"><a download="{file}" href="data:text/csv;base64,{data}">'
        f"{words} ({file}, {len(frame)} rows)</a></p>"
    )


def interactive(figure: Any, name: str, alt: str, still: Figure | None = None) -> None:
    """Show a plotly figure with the fixed id `name`, and with the text `alt` for readers who cannot see it.

    On a page of the book it uses the book's own copy of plotly; in a notebook alone it uses Jupyter's. `still` is a
    matplotlib figure that replaces it in print and where scripts do not run.
    """
    figure.update_layout(template="plotly_white", font={"size": 13}, margin={"l": 50, "r": 20, "t": 40, "b": 50})
    if still is not None:
        plt.close(still)
    if not os.environ.get("SAMEREP_PAGE"):
        figure.show()
        return
    body = figure.to_html(
        full_html=False,
        include_plotlyjs=PLOTLY_SCRIPT,
        include_mathjax=False,
        auto_play=False,  # a slider starts where its author put it
        div_id=name,
        config={"displaylogo": False, "responsive": True},
    )
    words = html.escape(alt, quote=True)
    moving = f'<div class="moving" role="group" aria-label="{words}">{body}</div>'
    display(HTML(f'<figure class="interactive" id="{name}-figure">{moving}{_still(still, words)}</figure>'))


def _still(figure: Figure | None, words: str) -> str:
    """The picture for print and for readers without scripts. Without one, the moving figure is printed as it is."""
    if figure is None:
        return ""
    source = png(figure)
    return f'<img class="still" src="{source}" alt="{words}">'


def png(figure: Figure) -> str:
    """The figure as a data URL that an <img> can show."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
