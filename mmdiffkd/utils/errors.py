# Copyright (c) mmdiffkd contributors.
"""The exceptions for mistakes in a user's set-up."""


class UserError(ValueError):
    """A wrong config, file or command line, told in one readable message.

    The message says what is wrong, where, and what to do. The scripts in
    ``tools/`` print it without a traceback and exit with code 2; everything
    else is a defect of the program and keeps its traceback.
    """


class NonFiniteLossError(UserError, FloatingPointError):
    """A loss is NaN or infinite; the message names which, and when."""
