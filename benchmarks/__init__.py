"""How fast, and against what: the published algorithms written plainly, and the comparison with the engine."""
