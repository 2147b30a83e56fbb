"""What can go wrong in a copy, and how it is told."""


class Problem(Exception):
    """Something that cannot be done; the text is for people."""


class Away(Problem):
    """A registry that cannot be reached, or that fails again and again."""


class Gone(Problem):
    """What was there when the run began is not there now."""


class Going(Problem):
    """A tag whose deletion is under way, or was interrupted: there is no image any more."""


class Stopped(Exception):
    """The run's time is over, or it was told to stop."""


def clean(text: str, most: int = 300) -> str:
    """Text of a registry as one line without control characters."""
    shown = "".join(c if c.isprintable() else "?" for c in text[: most + 1])
    return shown if len(shown) <= most else shown[:most] + "..."
