"""Hold both wires equal: mutated input, whole and cut anywhere, must give the same events and errors.

    python tests/fuzz/differential.py --inputs 1000000 [--seed N]

Exits with 1 on the first disagreements, which are printed with what repeats them.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from corelet.limits import DEFAULT_LIMITS
from tests.fuzz import corpus
from tests.fuzz.wire_trace import TIGHT_LIMITS, Setting, cut, cut_at_every_byte, find_disagreement

#: Inputs up to this long are also fed byte by byte, one time in eight.
SHORT_BYTES = 400
MOST_DISAGREEMENTS = 5
METHODS = ("GET", "GET", "HEAD", "CONNECT", "POST")


class Mutator:
    """Make input from a corpus; the same seed makes the same."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._requests = corpus.load_requests()
        self._responses = corpus.load_responses()

    def make(self) -> tuple[bytes, Setting]:
        chance = self._random
        is_response = chance.random() < 0.35
        source = self._responses if is_response else self._requests
        data = bytearray(chance.choice(source))
        if chance.random() < 0.15:
            data += chance.choice(source)
        for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3, 5, 8))):
            self._mutate(data, source)
        return bytes(data), self._make_setting(is_response)

    def cut(self, data: bytes) -> list[bytes]:
        chance = self._random
        if len(data) <= SHORT_BYTES and chance.random() < 0.125:
            return cut_at_every_byte(data)
        count = min(chance.choice((1, 1, 2, 3, 8)), len(data))
        return cut(data, sorted(chance.sample(range(len(data) + 1), count)))

    def _make_setting(self, is_response: bool) -> Setting:
        chance = self._random
        return Setting(
            expected=tuple(chance.choices(METHODS, k=chance.choice((1, 1, 2, 3)))) if is_response else None,
            limits=chance.choice(TIGHT_LIMITS) if chance.random() < 0.2 else DEFAULT_LIMITS,
            has_chunk_marks=chance.random() < 0.2,
            takes_upgrades=chance.random() < 0.2,
            waits=chance.random() < 0.1,
            ends=chance.random() < 0.7,
        )

    def _mutate(self, data: bytearray, source: list[bytes]) -> None:
        chance = self._random
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((1, 1, 2, 4, 10, 40)))
        match chance.randrange(8):
            case 0:
                data[at:end] = bytes((chance.randrange(256),))
            case 1:
                data[at:at] = chance.choice(corpus.TOKENS)
            case 2:
                data[at:end] = chance.choice(corpus.TOKENS)
            case 3:
                del data[at:end]
            case 4:
                data[at:at] = data[at:end] * chance.choice((1, 1, 2, 20))
            case 5:
                self._splice(data, chance.choice(source))
            case 6:
                self._move_line(data)
            case 7:
                data[at:end] = data[at:end].swapcase()

    def _splice(self, data: bytearray, other: bytes) -> None:
        data[self._random.randrange(len(data) + 1) :] = other[self._random.randrange(len(other)) :]

    def _move_line(self, data: bytearray) -> None:
        lines = bytes(data).split(b"\r\n")
        line = lines.pop(self._random.randrange(len(lines)))
        lines.insert(self._random.randrange(len(lines) + 1), line)
        data[:] = b"\r\n".join(lines)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    mutator = Mutator(options.seed)
    disagreements = inputs = 0
    begin = time.monotonic()
    for inputs in range(1, options.inputs + 1):
        data, setting = mutator.make()
        pieces = mutator.cut(data)
        found = find_disagreement(data, pieces, setting)
        if found is not None:
            disagreements += 1
            print(f"input {inputs}: {data!r}\n  cut as {pieces!r}\n  {setting}\n  {found}")
            if disagreements == MOST_DISAGREEMENTS:
                break
        if inputs % 100_000 == 0:
            print(f"{inputs:,} inputs, {time.monotonic() - begin:.0f} s", flush=True)
    print(
        f"seed {options.seed}: {inputs:,} inputs, {inputs * corpus.EXECUTIONS_PER_INPUT:,} executions, "
        f"{disagreements} disagreements, {time.monotonic() - begin:.0f} s"
    )
    return 1 if disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
