"""The figures and their comparison stand beside the test that reads them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
collect_ignore = ["record.py"]  # no tests in it, and a name that another folder's script has
