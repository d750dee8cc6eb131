"""What is wrong with a file."""
from typing import Tuple


class FaultyFile(RuntimeError):
    """A file, or the part that is needed of it, is of no use.

    Args:
        path (str): The file.
        reason (str): What is wrong with it.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f'{path}: {reason}')
        self.path = path
        self.reason = reason

    def __reduce__(self) -> Tuple:  # crosses worker processes
        return type(self), (self.path, self.reason)
