#!/bin/sh
# Takes out of an environment what a controller never uses.  slim.sh ENVIRONMENT
# What is imported is kept: the image imports every module of the runtime afterwards, and a night is taken in it.
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)

# OpenVINO: drivers of graphics and neural processors, devices made of several, readers of other formats than its
# own and ONNX. ONNX Runtime: the library for C (Python's module has all of it in itself), and its tools.
for part in auto_batch_plugin auto_plugin c gguf_frontend hetero_plugin intel_gpu_plugin intel_npu_compiler \
  intel_npu_plugin jax_frontend paddle_frontend pytorch_frontend tensorflow_frontend tensorflow_lite_frontend; do
  rm -f "$packages"/openvino/libs/libopenvino_"$part".so*
done
rm -rf "$packages"/openvino/libs/cache.json "$packages/openvino/include" "$packages/openvino/cmake" \
  "$packages/openvino/tools"
for part in jax paddle pytorch tensorflow; do
  rm -rf "$packages/openvino/frontend/$part"
done
rm -f "$packages"/onnxruntime/capi/libonnxruntime.so*
for part in onnxruntime/quantization onnxruntime/tools onnxruntime/transformers google flatbuffers; do
  rm -rf "${packages:?}/$part"
done

# What trains; the parts of libraries that nothing here imports; languages that messages are never in.
rm -rf "$packages/export" "$packages/apprise/i18n" "$packages/numpy/distutils"
for part in datasets differentiate fftpack integrate interpolate io misc ndimage odr optimize \
  signal stats; do
  rm -rf "$packages/scipy/$part"
done
rm -f "$packages"/numba/np/ufunc/tbbpool*.so "$packages"/numpy/_core/_simd*.so \
  "$packages"/numpy/_core/_multiarray_tests*.so "$packages"/scipy/special/cython_special*.so
find "$packages" -path '*/pygments/lexers/*' -name '*.py' -not -name __init__.py -not -name _mapping.py -delete

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
