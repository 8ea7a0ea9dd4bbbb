# One image for all services of docker-compose.yml, and for deploy/kubernetes: an installation of this version.
# BASE can name the same release by digest, or come from a registry of your own.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS system
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log

# -- the wheel, and what it runs on; what builds it stays behind -------------------------------------
FROM system AS installed
RUN apt-get update \
 && apt-get install --yes --no-install-recommends binutils python3-venv
WORKDIR /build
COPY requirements.lock requirements-build.lock ./
RUN python3 -m venv --without-pip /opt/venv \
 && python3 -m venv /opt/build \
 && /opt/build/bin/pip --python /opt/venv/bin/python install --quiet --no-cache-dir --no-compile --no-deps \
      --require-hashes --requirement requirements.lock \
 && /opt/build/bin/pip install --quiet --no-cache-dir --no-deps --require-hashes --requirement requirements-build.lock
# Nothing here predicts: the compiler of the simulator, 120 MB, stays behind as well.
RUN /opt/build/bin/pip --python /opt/venv/bin/python uninstall --quiet --yes llvmlite numba
# Nothing here runs the tests of others, debugs their extensions or compiles them. A library that refers to others in
# its wheel has been patched, which `strip` does not survive.
RUN cd /opt/venv/lib/python3*/site-packages \
 && rm -rf gevent/tests matplotlib/tests numpy/tests numpy/*/tests/test_* \
 && find . -type f '(' -name '*.c' -o -name '*.h' -o -name '*.pxd' -o -name '*.pyx' ')' -delete \
 && for library in $(find . -name '*.so'); do \
      readelf --dynamic "$library" | grep -q 'RUNPATH\|RPATH' || strip --strip-unneeded "$library" || exit; \
    done \
 && /opt/venv/bin/python -m compileall -q -j 0 .
COPY . .
COPY --from=system /var/lib/dpkg/status status
RUN /opt/build/bin/pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir wheels . \
 && /opt/build/bin/pip --python /opt/venv/bin/python install --quiet --no-index --no-deps wheels/*.whl \
 && /opt/venv/bin/python tools/bill_of_materials.py /opt/venv/lib/python3*/site-packages status >bom.cdx.json

# -- the image -------------------------------------------------------------------------------------
FROM system
RUN groupadd --gid 1000 storm \
 && useradd --uid 1000 --gid storm --no-create-home --home-dir /tmp --shell /usr/sbin/nologin storm \
 # Any user ID can write to a new volume here.
 && install --directory --mode 1777 /run/reconnect-storm
COPY --from=installed /opt/venv /opt/venv
WORKDIR /srv/reconnect-storm
COPY deploy/healthy.sh deploy/healthy.sh
COPY --from=installed /build/bom.cdx.json bom.cdx.json
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
