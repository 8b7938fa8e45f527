"""What a document holds, Markdown or a notebook: blocks of code, commands in them and between them, links, headings."""

import json
import re
import shlex
from typing import NamedTuple

from places import ROOT

README = ROOT / "README.md"
TWINS = {README: ROOT / "README_CN.md"}  # of English pages, the Chinese ones
NOTEBOOKS = sorted((ROOT / "docs").glob("*.ipynb"))
TWINS |= {page: page.parent / "zh" / page.name for page in (*sorted((ROOT / "docs").glob("*.md")), *NOTEBOOKS)}
CHINESE = [ROOT / "README_CN.md", *sorted((ROOT / "docs" / "zh").glob("*.md")), *sorted((ROOT / "docs" / "zh").glob("*.ipynb"))]
ENGLISH = [path for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))) if path not in CHINESE]
DOCUMENTS = [*ENGLISH, *NOTEBOOKS, *CHINESE]
CHANGELOG = ROOT / "CHANGELOG.md"  # names what is gone, too
KINDS = ("bash", "python", "yaml", "text")  # of blocks; text is looked at by nobody
PROGRAMS = ("mindrestore", "python", "bash", "pip", "pre-commit", "pytest", "unset")

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)


class Block(NamedTuple):
    kind: str
    line: int
    text: str


def cells(path):
    """The cells of a notebook."""
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def text_of(path):
    """A document as Markdown; of a notebook, its cells of code are fenced blocks."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    sources = [("".join(cell["source"]), cell["cell_type"]) for cell in cells(path)]
    return "\n\n".join(f"```python\n{text}\n```" if kind == "code" else text for text, kind in sources) + "\n"


def blocks(path) -> list[Block]:
    """The fenced blocks of a document."""
    text = text_of(path)
    return [Block(match[1], text.count("\n", 0, match.start()) + 1, match[2]) for match in _BLOCK.finditer(text)]


def prose(path):
    """The document without its fenced blocks."""
    return _BLOCK.sub("", text_of(path))


def inline(path):
    """What stands in single backquotes."""
    return _INLINE.findall(prose(path))


def commands(text):
    """The commands of a bash block as lists of words, comments and ``&&`` gone."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            found.append(words[:end])
            words = words[end + 1 :]
    return found


def commands_of(path):
    """All commands of a document: those of its bash blocks, and those in backquotes that are more than a name."""
    found = [command for block in blocks(path) if block.kind == "bash" for command in commands(block.text)]
    return found + [
        words
        for code in inline(path)
        if code.split()[0] in PROGRAMS
        for words in commands(code)
        if len(words) > (2 if words[0] == "mindrestore" else 1)
    ]


def links(path):
    """Where the links and pictures of a document point to."""
    return _LINK.findall(prose(path))


def headings(path):
    """(depth, text) of each heading."""
    return [(len(marks), text) for marks, text in _HEADING.findall(prose(path))]


def anchors(path):
    """What a link can name behind ``#``, as GitHub makes it of headings, in their order."""
    return [re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for _, text in headings(path)]
