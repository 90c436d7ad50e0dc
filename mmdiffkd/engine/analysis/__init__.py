# Copyright (c) mmdiffkd contributors.
"""Tools that look at a whole training."""
