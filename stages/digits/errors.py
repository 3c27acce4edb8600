"""What a person did wrong is said in one line, without a traceback."""


class InputError(SystemExit):
    """A mistake in what the user gave us.

    A `SystemExit` with a text: uncaught, Python prints the text and exits with 1.
    """
