"""Notebooks that tests run with papermill itself."""

from concurrent.futures import Future
from threading import Thread
from typing import Any

import papermill
from nbformat import NotebookNode


def execute_notebook(*arguments: Any, **options: Any) -> NotebookNode:
    """papermill's `execute_notebook`, in a thread of its own.

    The browser's event loop runs in the main thread of the tests. Beside it, Jupyter's client would divide its work
    between that thread and another, but a socket of ZeroMQ belongs to one thread.
    """
    answer: Future[NotebookNode] = Future()

    def work() -> None:
        try:
            answer.set_result(papermill.execute_notebook(*arguments, progress_bar=False, **options))
        except BaseException as error:
            answer.set_exception(error)

    Thread(target=work, daemon=True).start()
    return answer.result()
