"""Peer of bench/int8-speed.mjs and bench/calibration-memory.mjs: onnxruntime.quantization, one file in, one out.

Prints its peak resident memory in bytes. Calibration data: raw float32 of the given shape, one sample a run.
"""

import re
import sys

import numpy as np
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

mode, source, target = sys.argv[1:4]


class Samples(CalibrationDataReader):
    def __init__(self, path, shape):
        self.data = np.memmap(path, dtype="<f4", mode="r", shape=shape)
        self.at = 0

    def get_next(self):
        if self.at == len(self.data):
            return None
        self.at += 1
        return {"x": np.array(self.data[self.at - 1 : self.at])}


if mode == "dynamic":
    quantize_dynamic(source, target)
elif mode == "dynamic-per-channel":
    quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8)
else:
    method = {"static-minmax": CalibrationMethod.MinMax, "static-percentile": CalibrationMethod.Percentile}[mode]
    shape = tuple(int(size) for size in sys.argv[5].split(","))
    prepared = target + ".prepared"
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        target,
        Samples(sys.argv[4], shape),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=method,
    )
with open("/proc/self/status", encoding="ascii") as status:
    print(int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * 1024)
