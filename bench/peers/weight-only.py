"""Peer of bench/weight-only.mjs: onnxruntime's MatMulNBitsQuantizer, 4 bits, symmetric, accuracy_level 4. Prints its peak resident memory in bytes."""

import re
import sys

import onnx
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

source, target, block = sys.argv[1], sys.argv[2], int(sys.argv[3])
quantizer = MatMulNBitsQuantizer(
    onnx.load(source), bits=4, block_size=block, is_symmetric=True, accuracy_level=4
)
quantizer.process()
quantizer.model.save_model_to_file(target, False)
with open("/proc/self/status", encoding="ascii") as status:
    print(int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * 1024)
