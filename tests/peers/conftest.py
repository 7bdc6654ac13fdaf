"""The truth module stands beside the tests that read it, and what is excepted is said aloud."""

import importlib.util
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
collect_ignore = ["transformers_truth.py", "record.py"]  # no tests in them, and they need torch

STATED = """\
deepseek, grok-1 and kimi_k2 are not in transformers: glm4_moe, mixtral and deepseek_v3 stand in for the same products
grok-1 holds 2 · layers · hidden parameters more than its stand-in: two more norms a layer
minimax: an unrolled backward leaves out 2(first + 2 · last chunk)d² FLOPs a head, for states that nobody reads; compared exactly with it
llama4_text runs all experts on every token; the top-k of them are compared
jetmoe routes by data and runs on the CPU only, as all families do here"""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if importlib.util.find_spec("torch") is not None and terminalreporter.stats.get("passed"):
        terminalreporter.section("stated exceptions to the comparison with transformers")
        terminalreporter.write_line(STATED)
