"""HOW a run goes: phases, efficiency, reliability, reinforcement learning."""
