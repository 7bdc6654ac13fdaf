"""Put the modules of figures and of their comparison on the import path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
collect_ignore = ["record.py"]  # it has no tests, and its name occurs in another folder
