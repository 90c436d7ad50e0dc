# Copyright (c) mmdiffkd contributors.
"""The exceptions for mistakes in a user's set-up."""


class UserError(ValueError):
    """A wrong config, file or command line, told in one readable message.

    The message says what is wrong, where, and what to do. The scripts in
    ``tools/`` print it without a traceback and exit with code 2; everything
    else is a defect of the program and keeps its traceback.
    """


class ConfigKindError(UserError, TypeError):
    """A config entry of the wrong kind; MMRazor raises a TypeError there."""


class ConfigNameError(UserError, AssertionError):
    """A config entry that names what is not there; MMRazor asserts that."""


class NonFiniteLossError(UserError, FloatingPointError):
    """A loss is NaN or infinite; the message names which, and when."""
