"""One setting for every property test: no deadline (machines are shared), the same cases on every machine in CI."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("house", deadline=None, max_examples=60, print_blob=True)
settings.register_profile("ci", settings.get_profile("house"), derandomize=True)
settings.register_profile("full", settings.get_profile("house"), max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "house"))
