"""What a gateway file says of a recording."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which file, how it reads, and how fast it goes."""

    path: Annotated[str, Meta(min_length=1, description="A CSV or Parquet file of sensor data.")]
    time: Annotated[
        str | None, Meta(description="The column with the times; else the first that holds some.")
    ] = None
    separator: Annotated[
        Annotated[str, Meta(min_length=1, max_length=1)] | None,
        Meta(description="What separates the columns of a CSV; else what stands most."),
    ] = None
    columns: Annotated[
        Annotated[list[str], Meta(min_length=1)] | None,
        Meta(description="Columns to replay; else all that hold numbers, but labels."),
    ] = None
    speed: Annotated[
        Annotated[float, Meta(gt=0)] | Literal["max"],
        Meta(description="A factor of real time, or `max`."),
    ] = "max"
    tag: Annotated[str | None, Meta(description="Equipment tag; else the file's name.")] = None
    rows_per_block: Annotated[
        Annotated[int, Meta(gt=0)] | None,
        Meta(description="Rows a block; else a minute of them, 12 at least."),
    ] = None

    def __post_init__(self) -> None:
        if self.is_parquet and self.separator is not None:
            raise ValueError("separator: a Parquet file has none; leave it out")
        for name in self.columns or ():
            if self.columns is not None and self.columns.count(name) > 1:
                raise ValueError(f"columns: {name!r} stands there twice")
            if name == self.time:
                raise ValueError(f"columns: {name!r} is the column of the times")

    @property
    def is_parquet(self) -> bool:
        """Whether the name of the file says that it is Parquet."""
        return self.path.lower().endswith((".parquet", ".pq"))
