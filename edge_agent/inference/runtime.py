"""Run a full-integer TFLite model; the only file that knows which runtime that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]


class RuntimeMissingError(ImportError):
    """Neither TFLite runtime is installed."""


class ModelError(ValueError):
    """The file is no model of ours: unreadable, or not int8 in and out."""


def runtime() -> Any:
    """Return the module of `ai-edge-litert`, else of `tflite-runtime` (32-bit gateways).

    Raises:
        RuntimeMissingError: neither is installed.
    """
    try:
        from ai_edge_litert import interpreter
    except ImportError:
        try:
            from tflite_runtime import interpreter
        except ImportError as error:
            raise RuntimeMissingError(
                "no TFLite runtime: install headrace[edge], or headrace[edge-legacy] on a 32-bit "
                "gateway"
            ) from error
    return interpreter


class Int8Model:
    """A model with one int8 input and one int8 output, spoken to in float32."""

    def __init__(self, path: Path) -> None:
        """Load the model and its tensors.

        Raises:
            RuntimeMissingError: no runtime is installed.
            ModelError: the file is not a full-integer model with one input and one output.
        """
        try:
            tflite = runtime()
            # TFLite's own kernels: their bytes are the same in both runtimes, so that a score means
            # the same on every gateway. The default delegate is 3 µs faster and rounds otherwise.
            self._interpreter = tflite.Interpreter(
                model_path=str(path),
                num_threads=1,
                experimental_op_resolver_type=tflite.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{path}: not a TFLite model: {error}") from error
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ModelError(f"{path}: {len(inputs)} inputs, {len(outputs)} outputs, not 1 and 1")
        if inputs[0]["dtype"] is not np.int8 or outputs[0]["dtype"] is not np.int8:
            raise ModelError(f"{path}: not quantised to int8 in and out")
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]
        self._input_scale, self._input_zero = inputs[0]["quantization"]
        self._output_scale, self._output_zero = outputs[0]["quantization"]
        self.width = int(inputs[0]["shape"][-1])
        # The first invocation shows whether the runtime really works with this numpy.
        self(np.zeros(self.width, np.float32))

    def __call__(self, values: Vector) -> Vector:
        """Return the model's answer to `values`, both float32 of shape (width,)."""
        quantised = np.rint(values / self._input_scale) + self._input_zero
        tensor = np.clip(quantised, -128, 127).astype(np.int8)[np.newaxis]
        self._interpreter.set_tensor(self._input, tensor)
        self._interpreter.invoke()
        raw = self._interpreter.get_tensor(self._output)[0].astype(np.float32)
        return np.asarray((raw - self._output_zero) * self._output_scale, dtype=np.float32)
