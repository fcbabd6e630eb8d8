#!/bin/sh
# Leaves one OpenBLAS to SciPy and OpenCV, and one Fortran to all.  one_blas.sh ENVIRONMENT
# Each of their wheels brings both. SciPy's OpenBLAS has OpenCV's routines, with `scipy_` before each name: in
# the place of OpenCV's there is then a library that jumps there. (NumPy's counts in 64 bits, and stays.)
# An environment that is made otherwise is left as it is; a name that is missing ends it.
set -eu
export LC_ALL=C
packages=$(echo "$1"/lib/python3*/site-packages)

for part in gfortran quadmath; do
  for kept in "$packages"/numpy.libs/lib"$part"-*.so.*; do
    for copy in "$packages"/scipy.libs/lib"$part"-*.so.*; do
      [ ! -e "$kept" ] || [ ! -e "$copy" ] || ln -sf "../numpy.libs/${kept##*/}" "$copy"
    done
  done
done

theirs=$(echo "$packages"/opencv_python_headless.libs/libopenblas*.so)
blas=$(echo "$packages"/scipy.libs/libscipy_openblas-*.so)
case $(uname -m) in
  x86_64) jump="jmp scipy_%s@PLT" ;;
  aarch64) jump="b scipy_%s" ;;
  *) jump= ;;
esac
[ -n "$jump" ] && [ -e "$theirs" ] && [ -e "$blas" ] || exit 0

made=$(mktemp -d)
nm -D --defined-only "$theirs" | awk '{print $3}' | sort >"$made/there"
nm -D --undefined-only "$packages"/cv2/cv2*.so | awk '{print $2}' | sort | comm -12 - "$made/there" >"$made/wanted"
{
  echo '.section .note.GNU-stack,"",%progbits'
  echo '.text'
  while read -r name; do
    # shellcheck disable=SC2059 # the jump has the name in it
    printf ".globl %s\n.type %s,%%function\n%s: $jump\n" "$name" "$name" "$name" "$name"
  done <"$made/wanted"
} >"$made/jumps.s"
as -o "$made/jumps.o" "$made/jumps.s"
# shellcheck disable=SC2016 # $ORIGIN is the loader's
ld -shared --no-undefined -soname "${theirs##*/}" -rpath '$ORIGIN/../scipy.libs' -o "$made/jumps.so" \
  "$made/jumps.o" "$blas"
cp "$made/jumps.so" "$theirs"
chmod 755 "$theirs"
rm -rf "$made" "$packages"/opencv_python_headless.libs/libgfortran-* "$packages"/opencv_python_headless.libs/libquadmath-*
