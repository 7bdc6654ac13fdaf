"""How a run goes: phases, efficiency, reliability, reinforcement learning."""
