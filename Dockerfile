# docker build --target cpu --tag cgatjax:cpu .      on any machine
# docker build --target cuda --tag cgatjax:cuda .    for NVIDIA GPUs; run with --gpus all
# docker run --rm --volume "$PWD:/work" cgatjax:cpu predict runs/scan NaCl.cif
#
# Versions are those of requirements.lock. JAX's wheels for CUDA bring its libraries; the host needs
# the driver and the NVIDIA container toolkit.
FROM python:3.12-slim AS base
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 XDG_CACHE_HOME=/tmp/cache MPLCONFIGDIR=/tmp/mpl
WORKDIR /build
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY src src

FROM base AS cuda
RUN pip install --constraint requirements.lock . "jax[cuda12]"
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /work
ENTRYPOINT ["cgatjax"]

FROM base AS cpu
RUN pip install --constraint requirements.lock .
ENV JAX_PLATFORMS=cpu
WORKDIR /work
ENTRYPOINT ["cgatjax"]
