# The device image: everything a microscope's controller needs, nothing that trains.
#   docker build -t nightscope .
# How plans, settings, keys and devices get in, and results out: docs/image.md.
FROM debian:bookworm-slim AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1
COPY --chmod=755 runtime/appliance/units/system.sh /usr/local/bin/system
RUN apt-get update \
 && apt-get install --yes --no-install-recommends binutils python3-pip \
 && system /system \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY runtime runtime
COPY firmware_bridge firmware_bridge
COPY calibration calibration
COPY export export
COPY --chmod=755 runtime/appliance/units/slim.sh /usr/local/bin/slim
COPY --chmod=755 runtime/appliance/units/one_blas.sh /usr/local/bin/one_blas
# `no` keeps everything that pip installed.
ARG SLIM=yes
# `no` leaves the models to ONNX Runtime.
ARG OPENVINO=yes
# OpenVINO works without its telemetry package; with it, every device would report to its vendor.
# This image's glibc is new enough for its wheels on Arm too.
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist . \
 && python3 -m venv --without-pip /opt/nightscope \
 && pip --python /opt/nightscope install --no-cache-dir --no-compile \
      "$(echo /dist/nightscope-*.whl)[openvino]" \
 && pip --python /opt/nightscope uninstall --yes openvino-telemetry \
 && { [ "$OPENVINO" = yes ] || pip --python /opt/nightscope uninstall --yes openvino; } \
 && { [ "$SLIM" = no ] || { slim /opt/nightscope && one_blas /opt/nightscope; }; }

FROM scratch

LABEL org.opencontainers.image.title="nightscope" \
      org.opencontainers.image.description="Overnight microscope scans on the instrument's own controller" \
      org.opencontainers.image.licenses="Apache-2.0"

COPY --from=builder /system /
COPY --from=builder /opt/nightscope /opt/nightscope
COPY --chmod=755 runtime/night/health.sh /usr/local/bin/nightscope-health
COPY --chmod=755 runtime/appliance/units/start.sh /usr/local/bin/nightscope-start

# ONNX Runtime reports to its vendor, under a stored device id, unless told not to.
ENV ORT_DISABLE_TELEMETRY=1 \
    PATH=/opt/nightscope/bin:/usr/local/bin:/usr/bin \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/nightscope \
    TMPDIR=/var/lib/nightscope/tmp \
    XDG_CACHE_HOME=/var/lib/nightscope/cache \
    NUMBA_CACHE_DIR=/var/lib/nightscope/cache/numba \
    NIGHTSCOPE_STORE=/var/lib/nightscope/models \
    NIGHTSCOPE_SETTINGS=/etc/nightscope/settings.toml

# Imports every module: nothing that is needed was taken out, and what is used has its bytecode. Then kernels
# and models are compiled, for the building machine's processor; another one compiles its own on first use.
RUN TMPDIR=/tmp python -c "import importlib, importlib.util, pkgutil; import calibration, firmware_bridge, runtime; \
      whole = importlib.util.find_spec('openvino'); \
      [importlib.import_module(m.name) for top in (calibration, firmware_bridge, runtime) \
       for m in pkgutil.walk_packages(top.__path__, top.__name__ + '.') \
       if not m.name.endswith('__main__') and (whole or 'openvino' not in m.name)]" \
 && python -m compileall -q /opt/nightscope/lib/python3.11/site-packages/apprise \
 && TMPDIR=/tmp XDG_CACHE_HOME=/opt/nightscope/cache NUMBA_CACHE_DIR=/opt/nightscope/cache/numba \
    NIGHTSCOPE_SETTINGS='' nightscope doctor --controller --warm \
 && find /opt/nightscope/cache -type f -exec sha256sum {} + > /tmp/image \
 && mv /tmp/image /opt/nightscope/cache/image \
 && chmod -R a+rX /opt/nightscope/cache \
 && chown 10001:10001 /var/lib/nightscope
ENV PYTHONDONTWRITEBYTECODE=1

USER 10001
WORKDIR /var/lib/nightscope
RUN mkdir -p tmp calibration models runs
VOLUME /var/lib/nightscope

# SIGTERM finishes the tile in hand, makes the hardware safe and leaves a run that can be resumed.
STOPSIGNAL SIGTERM
# Whether what runs here still comes on; not whether a night could start.
HEALTHCHECK --interval=60s --timeout=5s --start-period=60s CMD ["nightscope-health"]
ENTRYPOINT ["nightscope-start"]
CMD ["serve", "--settings", "/etc/nightscope/settings.toml"]
