# Copyright (c) mmdiffkd contributors.
"""What makes pages of the site from the sources can be imported here."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / 'docs/en/_ext'))
