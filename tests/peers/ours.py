"""Models of this library in the form in which their classes run."""

from __future__ import annotations

from trainsim.model.transformer import Model


def as_run(model: Model) -> Model:
    """The model with untrained indexers, since the classes have no loss for them and run them without gradients."""
    losses = {kind.name: getattr(getattr(kind.block.attention, "indexer", None), "loss", None) for kind in model.stack}
    trained = [name for name, loss in losses.items() if loss == "trained"]
    return model.replace({f"stack.{name}.block.attention.indexer.loss": "none" for name in trained}) if trained else model
