"""How figures of curves are drawn: text as text, the same bytes for the same curves."""

from __future__ import annotations

from contextlib import AbstractContextManager


def figure_style(name: str) -> AbstractContextManager[None]:
    """Return the context in which a figure called ``name`` is drawn; ``$`` in names of clips and runs is no formula."""
    from matplotlib import rc_context

    return rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "text.parse_math": False})
