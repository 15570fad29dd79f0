"""Addressable randomness: every draw follows from a tuple of words and numbers, not from a state or a process."""

from hashlib import blake2b

REFILL_BELOW = 1 << 64


class Draws:
    """A stream of fair draws that depends only on `address` (BLAKE2b in counter mode; no Python hash)."""

    __slots__ = ("_address", "_block", "_pool")

    def __init__(self, *address: int | str) -> None:
        self._address = "/".join(map(str, address)).encode()
        self._block = 0
        self._pool = 0

    def pick(self, count: int) -> int:
        """Integer in [0, count); the bias is below count / 2**64."""
        if self._pool < REFILL_BELOW:
            self._block += 1
            digest = blake2b(self._address, key=self._block.to_bytes(4, "little")).digest()
            self._pool = int.from_bytes(digest, "little")
        self._pool, value = divmod(self._pool, count)
        return value

    def chance(self, share: float) -> bool:
        """True with probability `share`, to a resolution of one in a million."""
        return self.pick(1_000_000) < share * 1_000_000

    def shuffled(self, values: list | tuple) -> list:
        """The values in random order, as a new list."""
        values = list(values)
        for last in range(len(values) - 1, 0, -1):
            other = self.pick(last + 1)
            values[last], values[other] = values[other], values[last]
        return values


def fingerprint(content: bytes) -> int:
    """64-bit fingerprint of `content`, the same in every process."""
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little")
