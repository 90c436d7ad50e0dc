# Copyright (c) mmdiffkd contributors.
"""Every stock model of the three libraries: can it be distilled?"""
