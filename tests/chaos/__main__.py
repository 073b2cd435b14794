"""Runs the given seeds: `python -m tests.chaos 17 42`."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.scenario import plan, run


async def main(seeds: list[int], at_once: int = 6) -> int:
    """Run them, some at a time; how many went wrong."""
    gate = asyncio.Semaphore(at_once)

    async def one(seed: int) -> bool:
        planned = plan(seed)
        with tempfile.TemporaryDirectory() as folder:
            async with gate:
                began = time.monotonic()
                verdict = await run(planned, Path(folder))
        print(f"{planned}\n  {time.monotonic() - began:.1f} s, {verdict}", flush=True)  # noqa: T201  # a command's output
        return bool(verdict.wrong)

    ends = await asyncio.gather(*map(one, seeds), return_exceptions=True)
    broken = {seed: end for seed, end in zip(seeds, ends, strict=True) if isinstance(end, BaseException)}
    for seed, error in broken.items():
        print(f"seed {seed} broke: {error!r}")  # noqa: T201  # as above
    return len(broken) + ends.count(True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main([int(seed) for seed in sys.argv[1:]])))
