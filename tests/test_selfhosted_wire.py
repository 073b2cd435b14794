import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from bridge.selfhosted.wire import text_frame


def parsed(wire: bytes) -> Frame:
    """What a client of another make reads."""
    reader = StreamReader()
    reader.feed_data(wire)
    parsing = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as finished:
        next(parsing)
    assert reader.read_exact(0) is not None
    frame = finished.value.value
    assert isinstance(frame, Frame)
    return frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 100_000])
def test_a_text_frame_of_every_length_class(size: int) -> None:
    frame = parsed(text_frame("x" * size))
    assert (frame.opcode, frame.fin, frame.data) == (Opcode.TEXT, True, b"x" * size)


def test_text_is_utf_8_and_never_breaks_the_connection() -> None:
    assert parsed(text_frame("é😀\0")).data == "é😀\0".encode()
    assert parsed(text_frame("a\ud800b")).data == b"a?b"
