"""Groups of Megatron-LM flags that are read and written together."""
