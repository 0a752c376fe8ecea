# Two stages: the first has the tools that install and build, the second only what runs.
FROM python:3.13-slim-trixie AS base

FROM base AS build
ENV VIRTUAL_ENV=/app UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1 UV_SYSTEM_CERTS=1
WORKDIR /build
# As `make setup` does it: uv is pinned by hash and installs the rest from hashes. What the service needs is installed
# before its source is there, so that a change of the source leaves this layer as it is.
COPY requirements/uv.txt requirements/app.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/uv.txt && \
    python -m venv --without-pip "$VIRTUAL_ENV" && \
    uv pip sync --require-hashes requirements/app.txt
# The tools that build the wheel are those of the developers, by hash too.
COPY . .
RUN uv build --wheel --require-hashes --build-constraints requirements/dev.txt && \
    uv pip install --no-deps dist/*.whl

FROM base
# The ids are fixed, so that a volume keeps its owner from one image to the next.
RUN groupadd --gid 10001 convo && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin convo && \
    install --directory --owner=10001 --group=10001 --mode=0700 /data
COPY --from=build /app /app
ENV PATH="/app/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    DATABASE_URL=sqlite+aiosqlite:////data/convo.db \
    LOG_FORMAT=json
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# On this signal `serve` finishes what it has begun, for up to ten seconds: give it more before it is killed.
STOPSIGNAL SIGTERM
# Python asks itself: the image has no curl, and http.client, unlike urllib, never asks a proxy.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-I", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/livez'); exit(c.getresponse().status != 200)"]
ENTRYPOINT ["convo-service"]
# `migrate` is a command of its own: whoever updates decides when, and one replica cannot race another.
CMD ["serve", "--host", "0.0.0.0"]
