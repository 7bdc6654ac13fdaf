"""Every section of the snapshot; importing a file registers its sections."""

import of_doubt
import of_runs
import of_steps
import of_text
from figures import SECTIONS

__all__ = ["SECTIONS", "of_doubt", "of_runs", "of_steps", "of_text"]
