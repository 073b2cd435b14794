"""A webhook in a file: the relay's frame, or what a test of the routing file calls `given`."""

import time

import orjson

from bridge.config.tests import parse_given
from bridge.errors import ConfigError, FrameError
from bridge.relay.frames import decode_frame
from bridge.webhook import Webhook


def read_webhook(data: bytes, name: str) -> tuple[Webhook, bool]:
    """The webhook, and whether it counts as genuine: a frame has its signature, which is checked.

    Args:
        data: what the file holds.
        name: the file's, for messages.

    Raises:
        FrameError: it is neither of the two.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise FrameError("binary", "this is no webhook: it is not UTF-8 text") from None
    try:
        if not _is_frame(text):
            return parse_given(text, name, time.time())
        frame = decode_frame(text, time.time())
    except ConfigError as error:
        raise FrameError("mistake", f"this is no webhook: {error}") from error
    except FrameError as error:
        raise FrameError(error.code, f"this is not a webhook frame: {error}") from error
    if not isinstance(frame, Webhook):
        raise FrameError("not-a-webhook", 'this frame is no webhook ("type": "webhook" is expected)')
    return frame, False


def _is_frame(text: str) -> bool:
    """Whether it is a frame of the relay, good or bad, rather than a mapping that somebody wrote."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return isinstance(found, dict) and "type" in found
