"""What is computed once for an object, and kept exactly as long as somebody else keeps the object."""

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

Of = TypeVar("Of")
Value = TypeVar("Value")


class KeptBeside(Generic[Of, Value]):
    """The value that `make` returns for an object, made at the first call. Objects are compared by identity, and the
    value must not refer to its object.

    A cache of so many values would keep as many objects alive, however large each of them is: the claims in a caller's
    token, or the schemas of a flow that is no longer served.
    """

    def __init__(self, make: Callable[[Of], Value]) -> None:
        self._make = make
        self._made: WeakKeyDictionary[Of, Value] = WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._made)

    def __call__(self, of: Of) -> Value:
        """The value for this object. Raises what `make` raises, and then keeps nothing."""
        found = self._made.get(of)
        if found is None:
            found = self._made[of] = self._make(of)
        return found
