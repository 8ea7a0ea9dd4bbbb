# One image for all services of docker-compose.yml, and for deploy/kubernetes.
# BASE can name the same release by digest, or come from a registry of your own.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS system
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

# -- what the lock names, without what only development needs --------------------------------------
FROM system AS dependencies
WORKDIR /build
COPY requirements.lock pyproject.toml ./
# Everything in the lock is fetched and held against its hash. What the project itself needs is then installed
# from those files alone, so there is one lock and no second resolution.
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip wheel --quiet --no-cache-dir --no-deps --require-hashes --requirement requirements.lock \
      --wheel-dir wheels \
 && python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
      > needed.txt \
 && /opt/venv/bin/pip install --quiet --no-cache-dir --no-index --find-links wheels --requirement needed.txt hatchling

# -- the image -------------------------------------------------------------------------------------
FROM system
RUN groupadd --gid 1000 storm \
 && useradd --uid 1000 --gid storm --no-create-home --home-dir /tmp --shell /usr/sbin/nologin storm \
 # Whoever the services run as, a new volume here can be written by them.
 && install --directory --mode 1777 /run/reconnect-storm
COPY --from=dependencies /opt/venv /opt/venv
WORKDIR /srv/reconnect-storm
COPY . .
RUN /opt/venv/bin/pip install --quiet --no-cache-dir --no-index --no-deps --no-build-isolation --editable . \
 && /opt/venv/bin/python -m compileall -q reconnect_storm scenarios gateway_stub reports \
 && install --directory --owner storm --group storm runs

# Nothing is written but runs/, the token's folder and /tmp; matplotlib wants a folder of its own.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib
USER 1000:1000
# A host agent by default; other services say in HEALTH_PORT and HEALTH_PATH where they answer.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["/srv/reconnect-storm/deploy/healthy.sh"]
ENTRYPOINT ["reconnect-storm"]
CMD ["--help"]
