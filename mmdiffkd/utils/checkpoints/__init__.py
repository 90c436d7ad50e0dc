# Copyright (c) mmdiffkd contributors.
"""Checkpoint files, and the student inside them."""
