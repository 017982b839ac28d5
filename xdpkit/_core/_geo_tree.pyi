from array import array
from typing import Self

from typing_extensions import Buffer, disjoint_base

@disjoint_base
class Tree:
    def __new__(cls, data: Buffer, nodes: int, record_bits: int) -> Self: ...
    def first_below(self, levels: int) -> int: ...
    def walk(
        self, root: int, bits: int, skipped: int, most: int
    ) -> tuple[array[int], array[int]]: ...

def translate(
    starts: array[int], records: array[int], keys: array[int], values: array[int]
) -> None: ...
def is_sound(starts: Buffer, indexes: Buffer, values: int) -> bool: ...
