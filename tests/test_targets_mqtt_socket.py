"""The buffered socket, over a real pair of sockets."""

import socket
from collections.abc import Iterator

import pytest

from bridge.targets.mqtt_socket import CHUNK, UNSENT_LIMIT, BufferedSocket


@pytest.fixture
def pair() -> Iterator[tuple[BufferedSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    buffered = BufferedSocket(ours)
    buffered.setblocking(False)
    with theirs:
        yield buffered, theirs
        buffered.close()


def test_pieces_come_from_one_read(pair: tuple[BufferedSocket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.sendall(b"abcdef")
    assert (ours.recv(1), ours.recv(2), ours.readable) == (b"a", b"bc", True)
    assert (ours.recv(100), ours.readable) == (b"def", False)
    with pytest.raises(BlockingIOError):
        ours.recv(1)
    theirs.close()
    assert ours.recv(1) == b""


def test_writes_are_kept_until_the_flush(pair: tuple[BufferedSocket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.setblocking(False)
    assert (ours.send(b"ab"), ours.send(b"cd"), ours.unsent) == (2, 2, 4)
    with pytest.raises(BlockingIOError):
        theirs.recv(10)
    ours.flush()
    assert (theirs.recv(10), ours.unsent) == (b"abcd", 0)


def test_what_is_unsent_is_bounded_and_arrives_in_order(pair: tuple[BufferedSocket, socket.socket]) -> None:
    ours, theirs = pair
    sent = bytearray()

    def fill() -> None:
        for number in range(1000):
            piece = bytes([number % 251]) * CHUNK
            ours.send(piece)
            sent.extend(piece)

    with pytest.raises(BlockingIOError):
        fill()
    assert UNSENT_LIMIT <= ours.unsent <= UNSENT_LIMIT + CHUNK
    received = bytearray()
    while len(received) < len(sent):
        ours.flush()
        received += theirs.recv(CHUNK)
    assert received == sent


def test_an_ended_one_reads_nothing_more(pair: tuple[BufferedSocket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.sendall(b"late")
    ours.send(b"unsent")
    ours.end()
    assert (ours.recv(10), ours.unsent) == (b"", 0)


def test_closing_sends_the_rest(pair: tuple[BufferedSocket, socket.socket]) -> None:
    ours, theirs = pair
    ours.send(b"goodbye")
    ours.close()
    assert theirs.recv(100) == b"goodbye"
    assert theirs.recv(100) == b""
