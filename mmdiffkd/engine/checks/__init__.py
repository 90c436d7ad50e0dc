# Copyright (c) mmdiffkd contributors.
"""What is looked at before training starts."""
