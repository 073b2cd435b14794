"""A text that is shown in place on a terminal, again and again."""

import shutil
from collections.abc import Sequence

import click

HOME = "\x1b[H"
REST_OF_LINE, REST_OF_SCREEN = "\x1b[K", "\x1b[J"


def draw(lines: Sequence[str]) -> None:
    """Show lines in place of what the screen shows; what has no room there is left out.

    Args:
        lines: printable ones.
    """
    # What was there is overwritten rather than cleared, which would flicker.
    width, height = shutil.get_terminal_size()
    shown = [line[:width] + REST_OF_LINE for line in lines[: height - 1]]
    click.echo(HOME + "\n".join(shown) + "\n" + REST_OF_SCREEN, nl=False, color=True)
