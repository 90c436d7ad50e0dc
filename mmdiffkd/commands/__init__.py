# Copyright (c) mmdiffkd contributors.
"""The commands of ``mmdiffkd``, a file each.

``make_config.py`` is ``mmdiffkd make-config``. Its ``main(arguments=None)``
runs it, with the words behind the command's name, by default those of the
command line; the first line of its docstring is its line in
``mmdiffkd --help``. A file of this room that is no command begins with ``_``.
"""
