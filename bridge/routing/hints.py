"""What someone may have meant by a word that is not known."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'body'?`, or "" where no known word is close."""
    close = difflib.get_close_matches(word[:64], list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""
