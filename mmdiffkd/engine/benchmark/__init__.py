# Copyright (c) mmdiffkd contributors.
"""What a training step of a recipe costs, measured part by part."""
