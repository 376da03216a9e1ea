"""Attacks: programs that look for what breaks the library. Each module has `attack(seconds, seed)`, which counts."""


class Found(AssertionError):  # noqa: N818
    """What an attack has broken, with how to do it again."""
