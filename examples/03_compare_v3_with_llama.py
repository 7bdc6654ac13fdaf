"""Why did DeepSeek-V3 take a tenth of the GPU-hours of Llama 3.1 405B?

Both runs are rows of the catalogue, with the hours and tokens that their makers disclosed. The cost ratio is a product of factors; each is
the quotient of two ledgers that can be inspected.
"""

import trainsim as ts

llama, v3 = ts.catalog.run("llama3.1-405b"), ts.catalog.run("deepseek-v3")
comparison = ts.compare(llama, v3)

print("Llama 3.1 405B over DeepSeek-V3, factor by factor:\n")
print(comparison)

# behind the first factor: what a token costs in each model
print("\nGFLOP per token, forward and backward:")
for run in (llama, v3):
    flops = ts.flops_per_token(run.model, run.phases[0].seq_len or 4096)
    params, active = ts.count_params(run.model).total, ts.count_active_params(run.model).total
    print(f"  {run.name:<15} {flops.total / 1e9:7.0f}   {params / 1e9:4.0f}B parameters, {active / 1e9:4.0f}B active")

product = 1.0
for factor in comparison.factors.values():
    product *= float(factor.value)
print(f"\nthe factors multiply to {product:.4f}; the bills are as {comparison.ratio:.4f} to 1")
print(f"in hours it is {comparison.hours_ratio:.1f} to 1: mostly because a token passes a tenth of the work")
