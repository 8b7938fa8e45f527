"""How names out of a file are shown in a message: they are a stranger's text."""

LONGEST = 100


def printable(text):
    """Return ``text`` fit for one line of a terminal: control characters escaped, long text cut."""
    text = str(text)
    cut = text if len(text) <= LONGEST else text[:LONGEST] + "..."
    return cut if cut.isprintable() else ascii(cut)[1:-1]


def some_of(items, most=3):
    """Return the first few of ``items``, and how many more there are: ``"a, b, c and 7 more"``."""
    items = list(items)
    shown = ", ".join(printable(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"
