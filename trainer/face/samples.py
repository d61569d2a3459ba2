"""Samples as people have them in Python, batch by batch into the model."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer.data.image import UnreadableError, Way, read_image
from trainer.predict.predictor import Answers, Predictor
from trainer.predict.tables import encoded
from trainer.system.errors import DataError

BATCH = 2**22  # values of a batch of images
ROWS = 2**14  # rows of a batch
_CHANNELS = (1, 3, 4)
_IMAGES = "give a path, the bytes of a file, a PIL image, or an array of uint8 pixels (H, W, C), or a list of these"


def images(model: Predictor, given: Any) -> Iterator[Answers]:
    """The answers to images, batch by batch.

    Raises:
        DataError: They are no images, or cannot be read.
    """
    way, found = model.way, _several(given)
    size = max(1, min(1024, BATCH // (way.size**2 * way.channels)))
    for start in range(0, len(found), size):
        yield model.images(_pixels(found[start : start + size], way, start))


def _several(given: Any) -> "Sequence[Any] | np.ndarray":
    """Images in a row: an array (N, H, W, C), or a list of anything."""
    if isinstance(given, list | tuple):
        if not given:
            raise DataError("there are no images", _IMAGES)
        return given
    if isinstance(given, Tensor):
        given = _channels_last(given)
    if isinstance(given, np.ndarray):
        several = given.ndim == 4 or (given.ndim == 3 and given.shape[2] not in _CHANNELS)
        if several and not len(given):
            raise DataError("there are no images", _IMAGES)
        return given if several else [given]
    return [given]


def _channels_last(tensor: Tensor) -> np.ndarray:
    """A tensor as an array: (C, H, W) becomes (H, W, C), and (N, C, H, W) becomes (N, H, W, C)."""
    array: np.ndarray = tensor.detach().cpu().numpy()
    if array.ndim == 4 or (array.ndim == 3 and array.shape[0] in _CHANNELS):
        return np.moveaxis(array, -3, -1)
    return array


def _pixels(given: "Sequence[Any] | np.ndarray", way: Way, start: int) -> Tensor:
    """The pixels (N, H, W, C) of images, of which the first is number `start`."""
    if isinstance(given, np.ndarray) and given.dtype == np.uint8 and given.shape[1:] == way.shape and not way.resize:
        return torch.from_numpy(np.array(given))  # as reading each would leave them
    pixels = np.empty((len(given), *way.shape), dtype=np.uint8)
    for place, image in enumerate(given):
        try:
            pixels[place] = read_image(_source(image), way)
        except UnreadableError as error:
            if isinstance(image, str | os.PathLike):  # it is named in the message
                raise
            raise DataError(f"image {start + place} cannot be read: {error.reason}") from error
        except DataError as error:
            error.message = f"image {start + place}: {error.message}"
            raise
    return torch.from_numpy(pixels)


def _source(image: Any) -> str | bytes | Image.Image:
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, Tensor):
        image = _channels_last(image)
    if isinstance(image, np.ndarray):
        return _drawn(image)
    raise DataError(f"one is of type {type(image).__name__}, and no image", _IMAGES)


def _drawn(array: np.ndarray) -> Image.Image:
    """An array (H, W) or (H, W, C) as an image."""
    grey = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    sixteen = array.dtype == np.uint16 and grey.ndim == 2
    if array.dtype != np.uint8 and not sixteen:
        raise DataError(
            f"an array of {array.dtype} is no image: nothing says which of its values are black and white",
            "give uint8 pixels from 0 to 255: (array * 255).round().astype('uint8'), if they go from 0 to 1",
        )
    if grey.ndim not in (2, 3) or (grey.ndim == 3 and grey.shape[2] not in _CHANNELS) or 0 in grey.shape:
        raise DataError(
            f"an array of shape {array.shape} is no image", "give (H, W), or (H, W, C) of 1, 3 or 4 channels"
        )
    return Image.fromarray(np.ascontiguousarray(grey))


def rows(model: Predictor, given: Any) -> Iterator[Answers]:
    """The answers to rows of a table, batch by batch.

    Raises:
        DataError: They are no table, or not one that the model can read.
    """
    features = encoded(model, _columns(given))
    if not len(features):
        raise DataError("the table has no rows")
    for start in range(0, len(features), ROWS):
        yield model.rows(features[start : start + ROWS])


def _columns(given: Any) -> Mapping[Any, Any]:
    """Columns by their names, or by their numbers where they have none."""
    library = type(given).__module__.partition(".")[0]
    if library == "pandas" and hasattr(given, "columns"):
        return {name: _of_pandas(given.iloc[:, place]) for place, name in enumerate(given.columns)}
    if library == "polars" and hasattr(given, "iter_columns"):
        return {series.name: series for series in given.iter_columns()}
    if isinstance(given, Mapping):
        is_row = not any(hasattr(value, "__len__") and not isinstance(value, str) for value in given.values())
        return {name: [value] for name, value in given.items()} if is_row else given
    if isinstance(given, list | tuple) and given and all(isinstance(row, Mapping) for row in given):
        names = dict.fromkeys(name for row in given for name in row)
        return {name: [row.get(name) for row in given] for name in names}
    if isinstance(given, list | tuple | Tensor | np.ndarray):
        return _numbered(given)
    raise DataError(
        f"what is of type {type(given).__name__} is no table",
        "give a data frame, a dictionary of columns, a list of rows (each a dictionary), or an array (rows, columns)",
    )


def _of_pandas(series: Any) -> Any:
    """A column of pandas with None where a value is missing, however it says so."""
    if series.dtype.kind in "biuf" and isinstance(series.dtype, np.dtype):
        return series.to_numpy()
    return [None if missing else value for value, missing in zip(series, series.isna(), strict=True)]


def _numbered(given: Any) -> Mapping[str, Any]:
    """The columns of an array (rows, columns)."""
    try:
        array = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    except ValueError as error:  # rows of different lengths
        raise DataError("the rows are not of one length", "give an array (rows, columns)") from error
    if array.ndim != 2:
        raise DataError(f"an array of shape {array.shape} is no table", "give an array (rows, columns)")
    return {str(place): array[:, place] for place in range(array.shape[1])}
