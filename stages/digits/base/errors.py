"""Report a user's mistake or a system error as one line without a traceback."""

import gc
import signal
import sys
from collections.abc import Callable
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MAX_MESSAGE = 500  # characters: what is wrong may be a whole file on one line


class InputError(SystemExit):
    """A mistake in the user's input.

    A `SystemExit` with a text: if nothing catches it, Python prints the text, one printable line, and exits with 1.
    """

    def __init__(self, message: str):
        line = printable(message[: 2 * MAX_MESSAGE])
        if len(line) > MAX_MESSAGE:
            line = f"{line[: MAX_MESSAGE // 2]} ... {line[-MAX_MESSAGE // 4 :]}"
        super().__init__(line)


def printable(text: str) -> str:
    """The text on one line, whatever is in it; a file's name may be no UTF-8."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def run(main: Callable[[], None], advice_if_stopped: str = "run `dvc repro` to start again") -> None:
    """Run a stage; a signal that stops it, or an error of the file system or of memory, is reported as one line."""
    gc.freeze()  # what was imported stays
    gc.enable()  # `stages` disables it in a command
    for number in STOPPING:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP: leave it so
            signal.signal(number, _stop)
    try:
        main()
    except KeyboardInterrupt as stopped:
        number = stopped.args[0] if stopped.args else signal.SIGINT
        print(f"stopped by {signal.Signals(number).name}: {advice_if_stopped}", file=sys.stderr)
        sys.exit(128 + number)
    except MemoryError:
        raise InputError("out of memory: close other programs, or use fewer cores: taskset -c 0 make") from None
    except OSError as error:  # the disk is full, a file can't be read or written, no temporary directory ...
        raise InputError(f"{error.filename or type(error).__name__}: {error.strerror or error}") from None


def _stop(number: int, _: FrameType | None) -> None:
    for further in STOPPING:
        signal.signal(further, signal.SIG_IGN)  # an impatient second Ctrl-C would interrupt the clean-up
    raise KeyboardInterrupt(number)
