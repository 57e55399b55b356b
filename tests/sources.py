"""Parts of the source of a notebook's cells."""

import ast


def imports_and_functions(source: str) -> str:
    """The part of a code cell that later cells may use: its imports and functions."""
    if source.lstrip().startswith(("%", "!")):
        return ""
    wanted = (ast.Import, ast.ImportFrom, ast.FunctionDef)
    return "\n\n".join(ast.get_source_segment(source, n) or "" for n in ast.parse(source).body if isinstance(n, wanted))
