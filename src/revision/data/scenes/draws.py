"""Addressable randomness: draws depend on a tuple of strings and integers, not on a global state or the process."""

from hashlib import blake2b

REFILL_BELOW = 1 << 64


class Draws:
    """A stream of random draws that depends only on its address (BLAKE2b in counter mode).

    Python's `hash` is not used, as it differs between processes.

    Parameters
    ----------
    *address : int or str
        Parts of the address.
    """

    __slots__ = ("_address", "_block", "_pool")

    def __init__(self, *address: int | str) -> None:
        self._address = "/".join(map(str, address)).encode()
        self._block = 0
        self._pool = 0

    def pick(self, count: int) -> int:
        """Draw an integer in [0, count), with a bias below count / 2**64."""
        if self._pool < REFILL_BELOW:
            self._block += 1
            digest = blake2b(self._address, key=self._block.to_bytes(4, "little")).digest()
            self._pool = int.from_bytes(digest, "little")
        self._pool, value = divmod(self._pool, count)
        return value

    def chance(self, probability: float) -> bool:
        """Return True with the given probability, in steps of 1e-6."""
        return self.pick(1_000_000) < probability * 1_000_000

    def shuffled(self, values: list | tuple) -> list:
        """Return the values in random order, as a new list."""
        values = list(values)
        for last in range(len(values) - 1, 0, -1):
            other = self.pick(last + 1)
            values[last], values[other] = values[other], values[last]
        return values


def fingerprint(content: bytes) -> int:
    """Compute a 64-bit fingerprint of `content` that is the same in every process."""
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little")
