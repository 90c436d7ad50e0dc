# Copyright (c) mmdiffkd contributors.
"""Training and testing: launch, checks before the start, hooks."""
