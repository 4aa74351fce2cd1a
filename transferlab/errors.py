"""Exceptions whose text is a message to the person at the command line."""


class Refusal(Exception):
    """A config or an input that is refused; its text is the whole message, one or two lines.

    The command line prints it as it stands and exits with code 2.
    """


class Interrupted(BaseException):
    """The program was stopped from outside. Like KeyboardInterrupt, it isn't caught as an error.

    Its text says how to continue. ``exit_code`` is 129, 130, 131 or 143 after a signal, 1 if files can't be written.
    """

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Unwritable(OSError):
    """Files can't be written: the disk is full or read-only, or the folder is gone; the text says where.

    Files written before are unharmed.
    """


class Diverged(Exception):
    """Training went bad; the text says which number, and when."""


def in_words(error: BaseException) -> str:
    """An error that ended one run, as text: a refusal's message as it stands, any other error with its type."""
    return str(error) if isinstance(error, Refusal) else repr(error)
