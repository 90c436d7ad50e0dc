# Copyright (c) mmdiffkd contributors.
"""What the first iteration tells about a distillation."""
