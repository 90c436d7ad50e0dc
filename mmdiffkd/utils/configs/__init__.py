# Copyright (c) mmdiffkd contributors.
"""Config files: reading them, and those of this package."""
