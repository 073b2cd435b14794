"""The journal through kill -9: what was acknowledged is there, what was removed stays away."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from bridge.journal.journal import Journal
from tests.support.journal import FAR, MIB

CHILD = """
import asyncio, os, sys
from pathlib import Path
from bridge.journal.journal import Journal
from tests.support.deliveries import delivery, webhook

def tell(word, seqs):
    os.write(1, "".join(f"{word} {seq}\\n" for seq in seqs).encode())

async def main():
    journal = await Journal.open(Path(sys.argv[1]), max_bytes=1 << 26)
    seq = await journal.next_seq()
    stored = []
    def committed(batch):
        tell("added", [one.seq for one in batch])
        stored.extend(batch)
    while True:
        journal.add([delivery(seq, webhook=webhook(b"%d" % seq * 50))], committed)
        seq += 1
        if len(stored) > 40:
            gone, buried = stored[:10], stored[10:12]
            del stored[:12]
            for one in gone:
                journal.remove(one)
            for one in buried:
                journal.bury(one, "code", "reason")
            tell("leaving", [one.seq for one in gone + buried])
            await journal.flush()
            tell("removed", [one.seq for one in gone])
            tell("buried", [one.seq for one in buried])
        await asyncio.sleep(0)

asyncio.run(main())
"""


async def contents(path: Path) -> tuple[set[int], set[int]]:
    journal = await Journal.open(path, max_bytes=64 * MIB)
    found = await journal.read("mqtt:home", "route", 0, FAR, 1_000_000)
    for one in found:
        assert one.webhook.raw == b"%d" % one.seq * 50
    dead: set[int] = set()
    last = 0
    while letters := await journal.dead(after=last, limit=1000):
        dead |= {letter.seq for letter in letters}
        last = letters[-1].id
    assert journal.state.corrupt == 0
    await journal.close()
    return {one.seq for one in found}, dead


def note(line: str, told: dict[str, set[int]]) -> None:
    if line.endswith("\n"):  # the last one may be cut
        word, _, number = line.partition(" ")
        told[word].add(int(number))


@pytest.mark.parametrize("seed", range(4))
def test_nothing_acknowledged_is_lost_and_nothing_removed_comes_back(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "journal.db"
    chance = Random(seed)
    told: dict[str, set[int]] = {word: set() for word in ("added", "leaving", "removed", "buried")}
    for _ in range(3):  # each on what the one before left
        child = subprocess.Popen([sys.executable, "-c", CHILD, path], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        seen = len(told["added"])
        while len(told["added"]) == seen:
            line = child.stdout.readline()
            assert line, "the child died by itself"
            note(line, told)
        time.sleep(chance.uniform(0.02, 0.4))  # any moment will do
        child.kill()
        for line in child.stdout:
            note(line, told)
        child.wait()
        child.stdout.close()
    alive, dead = asyncio.run(contents(path))
    assert told["added"] - told["leaving"] <= alive
    assert not told["removed"] & (alive | dead)
    assert told["buried"] <= dead
    assert not alive & dead
