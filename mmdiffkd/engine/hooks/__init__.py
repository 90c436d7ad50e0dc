# Copyright (c) mmdiffkd contributors.
"""Hooks of scope ``mmdiffkd``."""
