"""Images as clients send them: the bytes of a file, one to a request."""

import contextlib
import io
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from trainer.data.image import FORMATS, UnreadableError, read_image
from trainer.predict.predictor import Answers, Predictor
from trainer.serve.limits import Limits
from trainer.serve.problem import ProblemError

MEDIA = tuple(f"image/{name}" for name in ("jpeg", "png", "bmp", "webp", "gif", "tiff", "x-portable-pixmap"))


class Images:
    """Reads what a client sends into the pixels that a model takes, and asks the model."""

    def __init__(self, predictor: Predictor, limits: Limits) -> None:
        """Prepare to read images.

        Raises:
            CheckpointError: The model's inputs are nothing that an image file becomes.
        """
        self.predictor, self.limits, self.way = predictor, limits, predictor.way
        self.most = limits.batch  # to be answered at once
        Image.init()  # its plugins are imported now, and not by a request

    def takes(self, media: str) -> bool:
        """Whether a body of this type may hold an image; which kind it is, its bytes say."""
        return media.startswith("image/") or media == "application/octet-stream"

    @property
    def wanted(self) -> str:
        """What to send, for a client that has sent something else."""
        return "send the bytes of an image file, with Content-Type: image/png, image/jpeg or the like"

    def read(self, body: bytes) -> tuple[Tensor, int]:
        """The pixels (1, H, W, C) of an image, and 1.

        Raises:
            ProblemError: It is none that can be read, or it has too many pixels.
        """
        size = _size_of(body)
        if size is not None and size[0] * size[1] > self.limits.pixels:
            raise ProblemError(
                413,
                f"the image has {size[0]:,} x {size[1]:,} pixels, and at most {self.limits.pixels:,} are read",
                "scale it down before you send it",
            )
        try:
            return torch.from_numpy(read_image(body, self.way).copy())[None], 1
        except UnreadableError as error:
            reason = error.reason if body else "the body is empty"
            raise ProblemError(422, f"this cannot be read as an image: {reason}", self.wanted) from error

    def nothing(self) -> Tensor:
        """A black image."""
        return torch.zeros(1, *self.way.shape, dtype=torch.uint8)

    def ask(self, parts: Sequence[Tensor]) -> Answers:
        """What the model says of the images of several requests."""
        return self.predictor.images(torch.cat(list(parts)))

    def schema(self) -> dict[str, Any]:
        """What an image may be, and how it reaches the model."""
        channels, height, width = self.predictor.shape
        return {
            "kind": "image",
            "height": height,
            "width": width,
            "channels": channels,
            "resize": self.way.resize,
            "formats": list(FORMATS),
            "content_types": [*MEDIA, "application/octet-stream"],
            "most_bytes": self.limits.body,
            "most_pixels": self.limits.pixels,
        }

    def example(self) -> dict[str, Any]:
        """A request, as a program and as a person would send it."""
        return {"content_type": "image/png"}


def _size_of(body: bytes) -> tuple[int, int] | None:
    """Width and height as the head of a file says; None of what is no image, of which `read_image` says why."""
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(body), formats=FORMATS) as file:
            return file.size
    return None
