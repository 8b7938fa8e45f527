"""Draw ``rooms.svg`` from the table of rooms in ``architecture.md``.

python docs/draw_rooms.py
"""

import re
from html import escape
from pathlib import Path

PAGE = Path(__file__).with_name("architecture.md")
PICTURE = Path(__file__).with_name("rooms.svg")
WIDTH, LEFT = 808, 240  # of the picture; of the column that says what a row is about
ROW, HEIGHT = 64, 36  # from one row to the next; of a room
GAP, MARGIN = 30, 8
STYLE = """
  text { font: 15px system-ui, sans-serif; fill: #1f2328 }
  .room { font-family: ui-monospace, monospace; text-anchor: middle }
  .row { font-style: italic; fill: #59636e }
  rect { fill: #ddf4ff; stroke: #0969da }
  path { stroke: #59636e; stroke-width: 1.5; fill: none; marker-end: url(#tip) }
  .tip { fill: #59636e }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .row { fill: #9198a1 }
    rect { fill: #121d2f; stroke: #4493f8 }
    path { stroke: #9198a1 }
    .tip { fill: #9198a1 }
  }
"""


def rows(page=PAGE):
    """The table, from above: of each row (what it is about, [(room, whether an arrow leads on to the next room)])."""
    table = re.findall(r"^\| (`.*?) \| \*\*(.*?)\*\*", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [(about, [(room, "→" in after) for room, after in re.findall(r"`(\w+)`([^`]*)", rooms)]) for rooms, about in table]


def picture(table):
    """The text of the SVG."""
    parts = []
    width = (WIDTH - LEFT - MARGIN - 3 * GAP) / 4
    middle = LEFT + (WIDTH - LEFT - MARGIN) / 2
    for number, (about, rooms) in enumerate(table):
        y = MARGIN + number * ROW
        parts.append(f'<text class="row" x="{MARGIN}" y="{y + HEIGHT / 2:g}" dy=".35em">{escape(about)}</text>')
        x = middle - (len(rooms) * (width + GAP) - GAP) / 2
        for room, leads_on in rooms:
            parts.append(f'<rect x="{x:g}" y="{y}" width="{width:g}" height="{HEIGHT}" rx="6"/>')
            parts.append(f'<text class="room" x="{x + width / 2:g}" y="{y + HEIGHT / 2:g}" dy=".35em">{escape(room)}</text>')
            if leads_on:
                parts.append(f'<path d="M{x + width + 2:g} {y + HEIGHT / 2:g}h{GAP - 5}"/>')
            x += width + GAP
        if number + 1 < len(table):
            parts.append(f'<path d="M{middle:g} {y + HEIGHT + 3}v{ROW - HEIGHT - 7}"/>')
    height = 2 * MARGIN + (len(table) - 1) * ROW + HEIGHT
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">\n'
        f"<style>{STYLE}</style>\n"
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<polygon class="tip" points="0,0 8,4 0,8"/></marker>\n'
        f"{body}\n</svg>\n"
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(rows()), encoding="utf-8")
