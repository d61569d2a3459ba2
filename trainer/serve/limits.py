"""What one client may ask of the service."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Each of them bounds the memory or the time that requests take, whatever is in them."""

    body: int = 16 * 2**20  # bytes of a request
    pixels: int = 50_000_000  # of an image, before it is scaled
    rows: int = 1000  # of a request
    batch: int = 64  # samples that go through the model at once; more only if one request has more
    waiting: int = 64  # requests whose answers are worked on; further ones are told to come again
    connections: int = 256  # open at once, slow ones among them; further ones are hung up on
    seconds: float = 10.0  # for a request to arrive, and the same again for its answer

    @property
    def held(self) -> int:
        """Bytes of all requests together that are in memory."""
        return 8 * self.body
