# Copyright (c) mmdiffkd contributors.
"""What a trained distillation makes of its student's features."""
