"""Graphs as text and as a drawing.

Both take rows of (what the node is, places of the nodes it reads, its shape).
"""

from html import escape

WIDE, HIGH, GAP = 190, 40, 26  # of a box, in pixels, and between boxes


def as_text(rows):
    """Return a table, a line a node."""
    reads = [f"reads {', '.join(map(str, inputs))}" if inputs else "" for _, inputs, _ in rows]
    first, second = max(len(what) for what, _, _ in rows), max(map(len, reads))
    return "\n".join(
        f"{place:>3}  {what:<{first}}  {reads[place]:<{second}}  {shape}".rstrip()
        for place, (what, _, shape) in enumerate(rows)
    )


def drawing(rows):
    """Return an SVG of the graph, roots on top."""
    depth = []
    for _, inputs, _ in rows:
        depth.append(1 + max((depth[one] for one in inputs), default=-1))
    level, corner = {}, []
    for place in range(len(rows)):
        across = level.get(depth[place], 0)
        level[depth[place]] = across + 1
        corner.append((GAP + across * (WIDE + GAP), GAP // 2 + depth[place] * (HIGH + GAP)))
    width = GAP + max(level.values()) * (WIDE + GAP)
    height = GAP + len(level) * (HIGH + GAP)
    parts = [_edge(corner[one], corner[place]) for place, row in enumerate(rows) for one in row[1]]
    parts += [_box(at, what, shape) for at, (what, _, shape) in zip(corner, rows)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="11">{"".join(parts)}</svg>'
    )


def _edge(start, end):
    x, y = start[0] + WIDE // 2, start[1] + HIGH
    return f'<line x1="{x}" y1="{y}" x2="{end[0] + WIDE // 2}" y2="{end[1]}" stroke="gray"/>'


def _box(at, what, shape):
    x, y = at
    middle = x + WIDE // 2
    text = what if len(what) <= 30 else what[:29] + "…"
    return (
        f'<rect x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" rx="5" fill="white" stroke="gray"/>'
        f'<text x="{middle}" y="{y + 17}" text-anchor="middle">{escape(text)}</text>'
        f'<text x="{middle}" y="{y + 32}" text-anchor="middle" fill="gray">{escape(shape)}</text>'
    )
