"""What did (or will) training this model really cost, and how sure can we be?"""

from .model.counting import CONVENTIONS as CONVENTIONS
from .model.counting import count_active_params as count_active_params
from .model.counting import count_params as count_params
from .model.counting import explain_release as explain_release
from .model.counting import flops_per_token as flops_per_token
from .model.huggingface import from_hf as from_hf
