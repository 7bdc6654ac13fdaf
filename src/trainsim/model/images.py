"""Rules by which an image processor turns an image into patches for a vision tower."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from ..core.errors import SpecError
from ..core.family import Family
from ..core.spec import AsTuple, Count

Pixels = Annotated[int, Field(gt=0, le=10**9)]


@dataclass(frozen=True)
class PatchGrid:
    """The patches of one image: ``tiles`` equal pictures of ``height × width`` patches each."""

    tiles: int
    height: int
    width: int


class Resize(Family):
    """A processor's rule for the number and size of the pictures it makes of an image."""

    section: ClassVar[str] = "resize"

    @abc.abstractmethod
    def tiles(self, height: int, width: int, unit: int) -> tuple[int, int, int]:
        """Number of pictures made of an image, and their height and width [pixel].

        Args:
            height, width: of the image [pixel].
            unit: number of pixels that both sides must be multiples of [pixel].
        """


class FixedSize(Resize):
    """Every image is scaled to one square (SigLIP, CLIP).

    >>> FixedSize(size=896).tiles(480, 640, 14)
    (1, 896, 896)
    """

    size: Count

    def tiles(self, height: int, width: int, unit: int) -> tuple[int, int, int]:
        """One square."""
        del height, width, unit
        return 1, self.size, self.size


class WithinPixels(Resize):
    """Sides are rounded to multiples of the unit, then scaled so that their product lies between two bounds (Qwen2-VL, ``smart_resize``).

    Args:
        least, most: bounds of the picture's area [pixel].

    >>> WithinPixels(least=3136, most=1003520).tiles(1080, 1920, 28)
    (1, 728, 1316)
    """

    least: Pixels
    most: Pixels

    def tiles(self, height: int, width: int, unit: int) -> tuple[int, int, int]:
        """One tile with nearly the image's aspect ratio."""
        high, wide = (max(unit, round(side / unit) * unit) for side in (height, width))
        if high * wide > self.most:
            scale = math.sqrt(height * width / self.most)
            high, wide = (max(unit, math.floor(side / scale / unit) * unit) for side in (height, width))
        elif high * wide < self.least:
            scale = math.sqrt(self.least / (height * width))
            high, wide = (math.ceil(side * scale / unit) * unit for side in (height, width))
        return 1, high, wide


class LongestSide(Resize):
    """Larger images are scaled down until their longest side fits; sides are rounded up to multiples of the unit (Pixtral, Mistral 3).

    >>> LongestSide(size=1540).tiles(1080, 1920, 28)
    (1, 868, 1540)
    """

    size: Count

    def tiles(self, height: int, width: int, unit: int) -> tuple[int, int, int]:
        """One tile with the image's aspect ratio."""
        ratio = max(height / self.size, width / self.size)
        if ratio > 1:
            height, width = math.floor(height / ratio), math.floor(width / ratio)
        return 1, -(-height // unit) * unit, -(-width // unit) * unit


class Tiles(Resize):
    """The image is cut into a grid of equal squares near its shape; if there are several, a thumbnail is added (InternVL).

    The grid is the one with at most ``most`` squares whose shape is nearest to the image's. Of two equally near grids, the larger is taken
    if the image has more than half of its pixels.

    Args:
        size: side of a square [pixel].
        least, most: bounds of the number of squares.

    >>> Tiles(size=448, most=12).tiles(1080, 1920, 14), Tiles(size=448, most=12).tiles(400, 400, 14)
    ((9, 448, 448), (1, 448, 448))
    """

    size: Count
    least: Count = 1
    most: Count

    def tiles(self, height: int, width: int, unit: int) -> tuple[int, int, int]:
        """Squares of one size [pixel], plus a thumbnail if there are several."""
        del unit
        shapes = [(r, c) for r in range(1, self.most + 1) for c in range(1, self.most + 1) if self.least <= r * c <= self.most]
        best, rows, columns = math.inf, 1, 1
        for r, c in sorted(shapes, key=lambda shape: shape[0] * shape[1]):
            off = abs(width / height - c / r)
            if off < best or (off == best and height * width > 0.5 * self.size**2 * r * c):
                best, rows, columns = off, r, c
        cut = rows * columns
        return cut + (cut > 1), self.size, self.size


class BestFit(Resize):
    """The image is scaled to the grid of squares that enlarges it least, or else shrinks it least; with several squares a thumbnail is
    added (Llama 4).

    Args:
        size: side of a square [pixel].
        most: largest number of squares.

    >>> BestFit(size=336, most=16).tiles(1080, 1920, 28)
    (16, 336, 336)
    """

    size: Count
    most: Count

    def tiles(self, height: int, width: int, unit: int) -> tuple[int, int, int]:
        """Squares of one size [pixel], plus a thumbnail if there are several."""
        del unit
        shapes = [(r, c) for r in range(1, self.most + 1) for c in range(1, self.most + 1) if r * c <= self.most]
        scale = {shape: min(shape[0] * self.size / height, shape[1] * self.size / width) for shape in shapes}
        enlarging = [value for value in scale.values() if value >= 1]
        chosen = min(enlarging) if enlarging else max(scale.values())
        cut = min(r * c for (r, c), value in scale.items() if value == chosen)
        return cut + (cut > 1), self.size, self.size


class FixedSquares(Resize):
    """The image is cut into squares on a canvas that always has ``squares`` of them, blank ones included (Llama 3.2 Vision).

    The tower's attention runs over the whole canvas.

    Args:
        size: side of a square [pixel].
        squares: number of squares of the canvas.

    >>> FixedSquares(size=560, squares=4).tiles(1080, 1920, 14)
    (1, 2240, 560)
    """

    size: Count
    squares: Count

    def tiles(self, height: int, width: int, unit: int) -> tuple[int, int, int]:
        """The squares one above the other, as one picture [pixel]."""
        del height, width, unit
        return 1, self.squares * self.size, self.size


class NearestShape(Resize):
    """The image is scaled to the listed shape that keeps most of its pixels, then wastes least; a thumbnail is added (LLaVA-NeXT).

    Args:
        size: side of a square [pixel].
        rows, columns: squares along the height and along the width of each shape that an image may be cut into.

    >>> NearestShape(size=336, rows=(1, 2, 2), columns=(2, 1, 2)).tiles(1080, 1920, 14)
    (5, 336, 336)
    """

    size: Count
    rows: Annotated[tuple[Count, ...], AsTuple]
    columns: Annotated[tuple[Count, ...], AsTuple]

    def tiles(self, height: int, width: int, unit: int) -> tuple[int, int, int]:
        """Squares of one size [pixel], plus a thumbnail."""
        del unit

        def kept(shape: tuple[int, int]) -> tuple[int, int]:
            high, wide = shape[0] * self.size, shape[1] * self.size
            scale = min(wide / width, high / height)
            pixels = min(int(width * scale) * int(height * scale), width * height)
            return pixels, pixels - high * wide

        rows, columns = max(zip(self.rows, self.columns, strict=True), key=kept)
        return rows * columns + 1, self.size, self.size


class PatchBudget(Resize):
    """Images are scaled down to at most ``most`` patches and ``along`` per side; sides are padded to multiples of the unit (Kimi).

    Args:
        patch: side of a patch [pixel].
        most: largest number of patches of an image.
        along: largest number of patches along a side.

    >>> PatchBudget(patch=14, most=16384, along=512).tiles(1080, 1920, 28)
    (1, 1092, 1932)
    """

    patch: Count
    most: Count
    along: Count

    def tiles(self, height: int, width: int, unit: int) -> tuple[int, int, int]:
        """One tile with the image's aspect ratio."""
        count = max(1.0, height // self.patch) * max(1.0, width // self.patch)
        longest = self.along * self.patch
        scale = min(1.0, math.sqrt(self.most / count), longest / height, longest / width)
        high, wide = (min(max(1, int(length * scale)), longest) for length in (height, width))
        return 1, -(-high // unit) * unit, -(-wide // unit) * unit


class FillBudget(Resize):
    """The image is scaled up or down to the most patches that its shape allows in whole units, at most ``most`` (Gemma 4).

    Args:
        patch: side of a patch [pixel].
        most: largest number of patches of an image.

    >>> FillBudget(patch=16, most=2520).tiles(1080, 1920, 48)
    (1, 576, 1056)
    """

    patch: Count
    most: Count

    def tiles(self, height: int, width: int, unit: int) -> tuple[int, int, int]:
        """One tile with nearly the image's aspect ratio; a side is at least a unit, and then the other follows from the ratio."""
        scale = math.sqrt(self.most * self.patch**2 / (height * width))
        high, wide = (math.floor(scale * side / unit) * unit for side in (height, width))
        longest = self.most * self.patch**2 // unit
        if not high:
            return 1, unit, min(width // height * unit, longest)
        return (1, high, wide) if wide else (1, min(height // width * unit, longest), unit)


class SplitLongest(Resize):
    """The image is scaled until its longest side has a given length, then cut into squares; a thumbnail is added (Idefics 3, SmolVLM).

    Args:
        longest: length of the longest side [pixel].
        size: side of a square [pixel].

    >>> SplitLongest(longest=1456, size=364).tiles(1080, 1920, 28)
    (13, 364, 364)
    """

    longest: Count
    size: Count

    def tiles(self, height: int, width: int, unit: int) -> tuple[int, int, int]:
        """Squares of one size [pixel], plus a thumbnail."""
        del unit
        long, short = max(height, width), min(height, width)
        along = -(-self.longest // self.size)
        across = -(-max(1, int(along * self.size * short / long)) // self.size)
        cut = along * across
        return cut + 1, self.size, self.size


def grid_of(resize: Resize, resolution: tuple[int, int], patch: int, merge: int) -> PatchGrid:
    """The number of tiles of an image, and the patches of each.

    Args:
        resize: the processor's rule.
        resolution: height and width of the image [pixel].
        patch: side of a patch [pixel].
        merge: patches along either side that become one token of the text model.

    Raises:
        SpecError: a resolution that is not two whole numbers above zero, or an image smaller than a patch.

    >>> grid_of(WithinPixels(least=3136, most=1003520), (1080, 1920), 14, 2)
    PatchGrid(tiles=1, height=52, width=94)
    """
    if len(resolution) != 2 or any(isinstance(side, bool) or not isinstance(side, int) or side < 1 for side in resolution):
        raise SpecError(
            "resolution", resolution, "is not a height and a width", "give two whole numbers of pixels: (1080, 1920)", "wrong-type"
        )
    number, height, width = resize.tiles(*resolution, patch * merge)
    if height < patch or width < patch:
        raise SpecError("resolution", resolution, f"is smaller than a patch of {patch} pixels", "give a larger image", "out-of-bounds")
    return PatchGrid(number, height // patch, width // patch)
