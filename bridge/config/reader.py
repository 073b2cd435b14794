"""Reading one node after the other, without stopping at the first mistake."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bridge.config.nodes import Broken, Mapping, Node, Scalar, Sequence
from bridge.config.problems import Code, Position, Problems, quoted
from bridge.config.secrets import Secrets

NodeT = TypeVar("NodeT", Scalar, Sequence, Mapping)


class Invalid(Exception):  # not an error of ours: its problem is noted, the reading goes on
    """A value that can't be used. Its problem is already noted."""


@dataclass(slots=True)
class Reader:
    """What reading a value needs besides the value."""

    problems: Problems
    secrets: Secrets
    folder: Path = Path()
    """Relative paths start here."""

    def wrong(self, code: Code, where: Node | Position, message: str, hint: str | None = None) -> Invalid:
        """Note a problem; to be raised where the value can't be used."""
        self.problems.add(code, where if isinstance(where, Position) else where.position, message, hint)
        return Invalid(message)

    def expect(self, kind: type[NodeT], node: Node, expected: str) -> NodeT:
        """The node, if it is of a kind; `expected` says in words what should stand there.

        Raises:
            Invalid: it is something else.
        """
        if isinstance(node, kind):
            return node
        if isinstance(node, Broken):
            raise Invalid
        nothing = isinstance(node, Scalar) and node.value is None
        hint = "give it a value, or remove the key" if nothing else None
        raise self.wrong(Code.WRONG_TYPE, node, f"expected {expected}, found {found(node)}", hint)

    def text(self, node: Node, expected: str) -> str:
        """A text with its references filled in.

        Raises:
            Invalid: it is no text, or a reference leads nowhere.
        """
        scalar = self.expect(Scalar, node, expected)
        if not isinstance(scalar.value, str):
            nothing = scalar.value is None
            hint = "give it a value, or remove the key" if nothing else "quote it to make it text"
            raise self.wrong(Code.WRONG_TYPE, node, f"expected {expected}, found {found(node)}", hint)
        mistakes = self.problems.errors
        text = self.secrets.fill(
            scalar.value, lambda offset, message: self.problems.add(Code.SECRET, scalar.at(offset), message)
        )
        if self.problems.errors > mistakes:
            raise Invalid
        return text


def found(node: Node) -> str:
    """What a node is, in words."""
    match node:
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=str()):
            return f"the text {quoted(node.text)}"
        case Scalar():
            return node.text
        case Sequence():
            return "a list"
    return "a mapping"
