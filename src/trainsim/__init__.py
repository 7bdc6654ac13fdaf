from .model.counting import CONVENTIONS, count_active_params, count_params, explain_release, flops_per_token
from .model.huggingface import from_hf
