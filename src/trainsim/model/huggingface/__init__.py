"""``config.json`` to :class:`~trainsim.model.transformer.Model`: one small file per model family."""
