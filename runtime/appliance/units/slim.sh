#!/bin/sh
# Takes out of an environment what a controller never uses.  slim.sh ENVIRONMENT
# What is imported is kept, whole: the image imports every module of the runtime afterwards.
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)

# Drivers of graphics and neural processors, and readers of other formats than ONNX.
for part in intel_gpu_plugin intel_npu_plugin intel_npu_compiler gguf_frontend paddle_frontend \
  pytorch_frontend tensorflow_frontend tensorflow_lite_frontend jax_frontend; do
  rm -f "$packages"/openvino/libs/libopenvino_"$part".so*
done
rm -rf "$packages"/openvino/libs/cache.json "$packages/openvino/include" "$packages/openvino/cmake"
# The library for C; Python's module has all of it in itself.
rm -f "$packages"/onnxruntime/capi/libonnxruntime.so*

# What trains, and the parts of SciPy that nothing here imports.
rm -rf "$packages/export"
for part in datasets differentiate fftpack integrate interpolate io misc ndimage odr optimize \
  signal stats; do
  rm -rf "$packages/scipy/$part"
done

# Tests, what only a compiler or a type checker reads, and bytecode of what is never imported.
find "$packages" -depth -type d \( -name tests -o -name test \) -path '*/*/*' \
  -not -path '*/numpy/testing/*' -exec rm -rf {} +
find "$packages" -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.h' -o -name '*.hpp' \
  -o -name '*.a' -o -name '*.lib' \) -delete
find "$packages" -depth -type d -name __pycache__ -exec rm -rf {} +

# Names for a debugger. Only here: a library whose table of libraries was rewritten when its wheel
# was made (NumPy's and SciPy's BLAS) does not load after `strip`.
for part in cryptography llvmlite numcodecs yaml; do
  [ ! -d "$packages/$part" ] || find "$packages/$part" -type f -name '*.so' -exec strip --strip-unneeded {} +
done
