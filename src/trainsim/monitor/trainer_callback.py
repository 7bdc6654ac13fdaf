"""A step watch as a callback of Hugging Face's ``Trainer``."""

from __future__ import annotations

from typing import Any

from ..core.errors import EstimateError
from ..run.run import Run
from .watch import StepWatch, watch_steps


def trainer_callback(run: Run, **options: Any) -> Any:
    """Callback for Hugging Face's ``Trainer``: ``Trainer(…, callbacks=[ts.trainer_callback(run, csv="steps.csv")])``.

    Args:
        run: the run that trains.
        **options: of :func:`~trainsim.monitor.watch.watch_steps`.

    Returns:
        a ``transformers.TrainerCallback``; its ``watch`` has all steps. The trainer's log also shows seconds and MFU of the last step.

    Raises:
        EstimateError: transformers is not installed.

    Source: transformers' documentation of ``TrainerCallback``.

    >>> import trainsim as ts
    >>> run = ts.quick("7B", chip="h100", gpus=64, tokens="1T")
    >>> callback = callback_class(object)(ts.watch_steps(run, log=None))  # what Trainer gets, over a stand-in for its base class
    >>> callback.on_train_begin(None, None, None)
    >>> callback.on_step_end(None, None, None)
    >>> len(callback.watch.seconds)
    1
    """
    try:
        from transformers import TrainerCallback
    except ImportError:
        raise EstimateError("transformers", None, "is not installed", "pip install 'trainsim[callbacks]'", "not-installed") from None
    return callback_class(TrainerCallback)(watch_steps(run, **options))


def callback_class(base: type) -> Any:
    """The callback class, derived from a base class with the trainer's events.

    Args:
        base: ``transformers.TrainerCallback``.
    """

    class TrainsimCallback(base):  # type: ignore[misc]
        """Watches a trainer's optimizer steps, without the time of evaluation and saving."""

        def __init__(self, watch: StepWatch) -> None:
            super().__init__()
            self.watch = watch
            self.last: Any = None

        def on_train_begin(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
            self.watch.start()

        def on_step_end(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
            self.last = self.watch()

        def on_evaluate(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
            self.watch.start()

        def on_save(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
            self.watch.start()

        def on_log(self, _args: Any, _state: Any, _control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if logs is not None and self.last is not None:
                logs["step_seconds"] = self.last.seconds
                logs["mfu"] = self.last.mfu["causal"]

        def on_train_end(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
            if self.watch.log is not None and self.last is not None:
                self.watch.log(f"{self.last}; {self.watch.projection()}")

    return TrainsimCallback
