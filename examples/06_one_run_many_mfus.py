"""Why is one run 35 %, 39 %, 44 % and 20 % MFU?

DeepSeek-V3's pre-training: 14.8T tokens in 2.664M H800 hours (arXiv:2412.19437, section 1). The tokens per second are the same for all.
What differs is the FLOPs counted per token, and the peak they are divided by.
"""

import trainsim as ts

model = ts.catalog.model("deepseek-v3")
pretrain = ts.catalog.run("deepseek-v3").get("phases.pretrain")
peak = ts.catalog.chip("h800-sxm").peak

rate = pretrain.tokens / (pretrain.efficiency.gpu_hours * 3600)  # hours to seconds
print(f"{rate:,.0f} tokens per second and GPU\n")
print(f"{'convention':<18}{'MTP':<8}{'GFLOP/token':>12}{'of bf16':>9}{'of fp8':>8}   what it counts")

shares = {}
for convention in ts.CONVENTIONS.values():
    for mtp in ("none", "unique") if convention.mtp is not None else ("none",):
        flops = ts.flops_per_token(model, pretrain.seq_len, convention.name, mtp).total
        shares[convention.name, mtp] = mfu = flops * rate / peak.bf16
        print(f"{convention.name:<18}{mtp:<8}{flops / 1e9:>12.1f}{mfu:>9.1%}{flops * rate / peak.fp8:>8.1%}   {convention.doc[:76]}")

six = 6 * ts.count_active_params(model).total * rate / peak.bf16
print(f"""
"35 %"  six FLOP per active parameter, embedding and all             {six:.1%}
"34 %"  the same without the input embedding, a look-up              {shares["6nd", "none"]:.1%}
"39 %"  every product, causal attention: the report's own 39 %       {shares["causal", "none"]:.1%}
"44 %"  every product, attention as if nothing were masked           {shares["full", "none"]:.1%}
"20 %"  the 39 % held to the fp8 peak, in which most products ran    {shares["causal", "none"] * peak.bf16 / peak.fp8:.1%}

At one peak the conventions spread from {min(shares.values()):.1%} to {max(shares.values()):.1%}: an MFU needs both named.""")
