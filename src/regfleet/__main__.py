"""The program: `regfleet`, and `python -m regfleet`."""

import signal
from importlib import import_module


def main() -> None:
    """Run the command line and exit."""
    # An interrupted import prints its traceback. Nothing has begun yet: Ctrl-C ends the process.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    import_module("regfleet.cli").main()


if __name__ == "__main__":
    main()
