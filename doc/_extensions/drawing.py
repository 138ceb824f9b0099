"""A directive that draws rooms of a program in layers, from the lines of the map that it is given.

The drawing is part of the page, so it takes the colours of the theme, light or dark, and shrinks on a phone.
"""

from xml.sax.saxutils import escape

from docutils import nodes
from docutils.parsers.rst import Directive

WIDTH = 400  # of the drawing, in its own units: those of a phone's screen
MARGIN = 26  # on the left, where the arrow is
HEIGHT, GAP = 26, 12  # of a box, and between layers
SPACE = 5  # between boxes
INK = "var(--pst-color-text-base)"
LINE = "var(--pst-color-primary)"
FILL = "var(--pst-color-surface)"


def box(x, y, width, name):
    """Draw a room."""
    look = f'rx="4" fill="{FILL}" stroke="{LINE}"'
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{HEIGHT}" {look}/>'
        f'<text x="{x + width / 2:.1f}" y="{y + HEIGHT / 2 + 4:.1f}" text-anchor="middle">{escape(name)}</text>'
    )


def layer(y, names):
    """Draw the rooms of a layer, side by side, as wide as the drawing together."""
    room = WIDTH - MARGIN - SPACE * (len(names) - 1) - 1
    letters = sum(len(name) + 4 for name in names)
    x = MARGIN
    for name in names:
        width = room * (len(name) + 4) / letters
        yield box(x, y, width, name)
        x += width + SPACE


def arrow(height, word):
    """Draw the arrow down, on the left."""
    x, end = MARGIN / 2 - 2, height - 2
    return (
        f'<path d="M{x} 2V{end - 6}" stroke="{LINE}" stroke-width="2"/>'
        f'<path d="M{x - 5} {end - 8}H{x + 5}L{x} {end}Z" fill="{LINE}"/>'
        f'<text transform="translate({x - 4} {height / 2}) rotate(-90)" text-anchor="middle">{escape(word)}</text>'
    )


def drawing(layers, alternative, word):
    """Draw layers of rooms, the highest first."""
    height = len(layers) * (HEIGHT + GAP) - GAP + 2
    boxes = [piece for row, names in enumerate(layers) for piece in layer(1 + row * (HEIGHT + GAP), names)]
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(alternative)}" font-size="11" '
        f'fill="{INK}" style="display: block; width: 100%; max-width: 42rem; margin: 1rem auto" '
        f'xmlns="http://www.w3.org/2000/svg">{arrow(height, word)}{"".join(boxes)}</svg>'
    )


class Layers(Directive):
    """Draws the words of each line of its content as boxes, side by side."""

    has_content = True
    required_arguments = 1  # what the arrow down means
    final_argument_whitespace = True
    option_spec = {"alt": str}

    def run(self):
        layers = [line.split() for line in self.content if line.strip()]
        picture = drawing(layers, self.options["alt"], self.arguments[0])
        return [nodes.raw("", picture, format="html")]


def setup(app):
    app.add_directive("layers", Layers)
    return {"parallel_read_safe": True}
