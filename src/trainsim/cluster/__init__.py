"""WHERE it runs: chips, links, clusters, collectives, kernels, software stacks."""
