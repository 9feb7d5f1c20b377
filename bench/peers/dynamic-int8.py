"""Peer of bench/dynamic-int8.mjs: onnxruntime.quantization's dynamic int8 with its default options. Prints its peak resident memory in bytes."""

import re
import sys

from onnxruntime.quantization import quantize_dynamic

source, target = sys.argv[1], sys.argv[2]
quantize_dynamic(source, target)
with open("/proc/self/status", encoding="ascii") as status:
    print(int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * 1024)
