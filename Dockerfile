# The device image: everything a scan needs, nothing that trains. Build: docker build -t nightscope .
# Run, with a board and a camera, on a read-only root:
#   docker run --init --read-only -v nightscope:/var/lib/nightscope \
#     --device /dev/ttyACM0 --device /dev/video0 nightscope run plan.yaml --out night
# --init: until a scan listens, PID 1 itself would ignore SIGTERM.
FROM python:3.11-slim-bookworm AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY runtime runtime
COPY firmware_bridge firmware_bridge
COPY calibration calibration
COPY export export
# OpenVINO works without its telemetry package; with it, every device would report to its vendor.
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist . \
 && python -m venv --without-pip /opt/nightscope \
 && pip --python /opt/nightscope install --no-cache-dir /dist/nightscope-*.whl \
 && pip --python /opt/nightscope uninstall --yes openvino-telemetry

FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="nightscope" \
      org.opencontainers.image.description="Overnight microscope scans on the instrument's own controller" \
      org.opencontainers.image.licenses="Apache-2.0"

# Serial ports belong to dialout, cameras to video.
RUN useradd --uid 10001 --create-home --home-dir /var/lib/nightscope --groups dialout,video nightscope
COPY --from=builder /opt/nightscope /opt/nightscope
COPY --chmod=755 runtime/night/health.sh /usr/local/bin/nightscope-health

# ONNX Runtime reports to its vendor, under a stored device id, unless told not to.
ENV ORT_DISABLE_TELEMETRY=1 \
    PATH=/opt/nightscope/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/nightscope \
    TMPDIR=/var/lib/nightscope/tmp \
    XDG_CACHE_HOME=/var/lib/nightscope/cache \
    NUMBA_CACHE_DIR=/var/lib/nightscope/cache/numba

USER 10001
WORKDIR /var/lib/nightscope
# Compiled kernels and models go into the volume's first content. Kernels are compiled for the
# building machine's processor; another one compiles its own on first use.
RUN mkdir -p tmp "$NUMBA_CACHE_DIR" && nightscope doctor --controller --warm
VOLUME /var/lib/nightscope

# SIGTERM finishes the tile in hand, makes the hardware safe and leaves a run that can be resumed.
STOPSIGNAL SIGTERM
# Whether the run that a process holds still writes its journal; not whether one could start.
HEALTHCHECK --interval=60s --timeout=5s --start-period=10s CMD ["nightscope-health"]
ENTRYPOINT ["nightscope"]
CMD ["doctor", "--controller"]
