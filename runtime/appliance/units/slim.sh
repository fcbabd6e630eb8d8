#!/bin/sh
# Takes out of an environment what a controller never uses: drivers of graphics and neural processors
# and readers of other formats than ONNX, what trains, and the libraries' own tests.  slim.sh ENVIRONMENT
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
for part in intel_gpu_plugin intel_npu_plugin intel_npu_compiler gguf_frontend paddle_frontend \
  pytorch_frontend tensorflow_frontend tensorflow_lite_frontend jax_frontend; do
  rm -f "$packages"/openvino/libs/libopenvino_"$part".so*
done
rm -rf "$packages/export" "$packages"/openvino/libs/cache.json
find "$packages" -depth -type d \( -name tests -o -name test \) -path '*/*/*' \
  -not -path '*/numba/*' -not -path '*/numpy/testing/*' -exec rm -rf {} +
