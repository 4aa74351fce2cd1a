"""Exceptions whose text is a message to the person at the command line."""


class Refusal(Exception):
    """A config or an input that is refused; its text is the whole message, one or two lines.

    The command line prints it as it stands and exits with code 2.
    """


class Interrupted(BaseException):
    """Stopped from outside, and, like KeyboardInterrupt, nobody's error to handle.

    Its text says how to continue; ``exit_code`` is 130 or 143, and 1 for want of room.
    """

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Unwritable(OSError):
    """What has to be kept can't be written: the disk is full or read-only, or the folder is gone; the text says where.

    Nothing that was written before is harmed.
    """


class Diverged(Exception):
    """Training went bad; the text says which number, and when."""


def in_words(error: BaseException) -> str:
    """What is shown of an error that ended one run: a refusal's message as it stands; of others the kind too."""
    return str(error) if isinstance(error, Refusal) else repr(error)
