# One image for all services of docker-compose.yml, and for deploy/kubernetes: an installation of this version.
# BASE can name the same release by digest, or come from a registry of your own.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS system
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

# -- the wheel, and what it runs on; what builds it stays behind -------------------------------------
FROM system AS installed
WORKDIR /build
COPY requirements.lock requirements-build.lock ./
RUN for part in venv build; do python3 -m venv "/opt/$part" || exit; done \
 && /opt/venv/bin/pip install --quiet --no-cache-dir --no-deps --require-hashes --requirement requirements.lock \
 && /opt/build/bin/pip install --quiet --no-cache-dir --no-deps --require-hashes --requirement requirements-build.lock
COPY . .
RUN /opt/build/bin/pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir wheels . \
 && /opt/venv/bin/pip install --quiet --no-index --no-deps wheels/*.whl

# -- the image -------------------------------------------------------------------------------------
FROM system
RUN groupadd --gid 1000 storm \
 && useradd --uid 1000 --gid storm --no-create-home --home-dir /tmp --shell /usr/sbin/nologin storm \
 # Any user ID can write to a new volume here.
 && install --directory --mode 1777 /run/reconnect-storm
COPY --from=installed /opt/venv /opt/venv
WORKDIR /srv/reconnect-storm
COPY deploy/healthy.sh deploy/healthy.sh
RUN install --directory --owner storm --group storm runs

# Nothing is written but runs/, the token's folder and /tmp; matplotlib wants a folder of its own.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib
USER 1000:1000
ENTRYPOINT ["reconnect-storm"]
CMD ["--help"]
