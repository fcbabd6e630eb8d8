#!/usr/bin/env bash
# What this would do on a controller of Arm, asked under qemu's model of its processor: every back end,
# precision and layout of the shipped bundles with all their golden examples, and which one is chosen.
#   benchmarks/arm64.sh FOLDER [CPU...]          by default cortex-a72 (Pi 4) and cortex-a76 (Pi 5)
# Makes in FOLDER a small Debian of that architecture with this checkout's dependencies, once. Needs apt
# with Debian's packages, dpkg-deb, and qemu-user-static. Times under qemu mean nothing, and none is printed.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
shift
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
processors=("$@")
(($#)) || processors=(cortex-a72 cortex-a76)
root=$folder/root packages=$folder/packages
needed=(
  python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libgcc-s1 libstdc++6 libgomp1
  zlib1g libexpat1 libssl3 libffi8 libsqlite3-0 libbz2-1.0 liblzma5 libuuid1 libcrypt1 libreadline8
  libtinfo6 libncursesw6 libnsl2 libtirpc3 libdb5.3
)

if [[ ! -e $folder/done ]]; then
  dpkg --add-architecture arm64
  apt-get update -qq
  mkdir -p "$folder/debs" "$root"
  (cd "$folder/debs" && apt-get download -qq "${needed[@]/%/:arm64}")
  for file in "$folder"/debs/*.deb; do dpkg-deb --extract "$file" "$root"; done
  # With the extra where its wheels fit Debian 12; without it a device has ONNX Runtime alone.
  python3 -m pip install --quiet --disable-pip-version-check --target "$packages" --python-version 3.11 \
    --only-binary=:all: --implementation cp --abi cp311 --abi abi3 --abi none \
    $(for glibc in 36 35 34 31 28 27 24 17; do echo "--platform manylinux_2_${glibc}_aarch64"; done) \
    --platform manylinux2014_aarch64 --platform linux_aarch64 --platform any \
    $(python3 - "$checkout" <<'PY'
import sys, tomllib
told = tomllib.load(open(sys.argv[1] + "/pyproject.toml", "rb"))["project"]
for line in [*told["dependencies"], *told["optional-dependencies"]["openvino"]]:
    need, _, marker = line.partition(";")
    if "x86_64" not in marker:
        print(need.strip())
PY
)
  touch "$folder/done"
fi

# qemu shows the host's own processors, of which nothing is Arm's: ONNX Runtime and OpenVINO read that.
describe() {
  local part midr core identification
  case $1 in
    cortex-a72) part=0xd08 midr=0x00000000410fd083 ;;
    cortex-a76) part=0xd0b midr=0x00000000414fd0b1 ;;
    *) echo "no description of $1 here: cortex-a72 or cortex-a76" >&2 && return 1 ;;
  esac
  mkdir -p "$root/proc"
  for core in 0 1; do
    identification=$root/sys/devices/system/cpu/cpu$core/regs/identification
    mkdir -p "$identification"
    echo "$midr" >"$identification/midr_el1"
    printf 'processor\t: %d\nFeatures\t: %s\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: %s\n\n' \
      "$core" "fp asimd evtstrm crc32 cpuid" "$part"
  done >"$root/proc/cpuinfo"
}

for processor in "${processors[@]}"; do
  echo "== $processor"
  describe "$processor"
  for bundle in "$checkout"/runtime/models/*.nsb; do
    PYTHONPATH=$checkout:$packages NUMBA_CACHE_DIR=$folder/cache XDG_CACHE_HOME=$folder/cache \
      qemu-aarch64-static -cpu "$processor" -L "$root" "$root/usr/bin/python3.11" - "$bundle" <<'PY'
import sys
from pathlib import Path

from runtime.config.settings import SHIPPED_MODELS
from runtime.errors import ModelRefused
from runtime.inference.backends import backends
from runtime.inference.bundle import open_bundle
from runtime.inference.candidates import candidates, open_choice
from runtime.inference.processor import identity
from runtime.inference.selftest import all_golden_inputs, check_golden
from runtime.tasks.registry import RECORDS

bundle = open_bundle(Path(sys.argv[1]), keys=SHIPPED_MODELS / "keys", tasks=RECORDS)
print(Path(sys.argv[1]).name, "on", identity(), flush=True)
inputs = all_golden_inputs(bundle)
for choice in candidates(bundle, allowed=backends(), threads=2):
    try:
        worst = check_golden(bundle, open_choice(bundle, choice, threads=2), choice, inputs)
        said = ", ".join(f"{name} off by {off:.2g}" for name, off in worst.items())
    except ModelRefused as refusal:
        said = f"refused: {refusal}"
    print(f"  {choice}: {said}", flush=True)
PY
  done
done
