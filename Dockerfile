# Two images: `docker build .` is the proxy, `docker build --target demo .` the demo site that docker-compose.yml puts it beside.
ARG PYTHON=3.11

# What is built here leaves no pip, no setuptools and no compiler in the images.
FROM python:${PYTHON}-slim AS build
WORKDIR /source
COPY deploy/requirements.lock deploy/
RUN pip install --no-cache-dir --constraint deploy/requirements.lock setuptools
COPY pyproject.toml README.md LICENSE ./
COPY proxy proxy
RUN pip wheel --no-cache-dir --no-build-isolation --constraint deploy/requirements.lock --wheel-dir /wheels .
RUN python -m venv --without-pip /opt/sitecache
RUN pip --python /opt/sitecache/bin/python install --no-cache-dir --no-index --find-links /wheels sitecache

FROM build AS build-demo
RUN pip wheel --no-cache-dir --no-build-isolation --constraint deploy/requirements.lock --wheel-dir /wheels ".[demo,redis]"
RUN python -m venv --without-pip /opt/demo
RUN pip --python /opt/demo/bin/python install --no-cache-dir --no-index --find-links /wheels "sitecache[demo,redis]"

FROM python:${PYTHON}-slim AS demo
COPY --from=build-demo /opt/demo /opt/demo
WORKDIR /srv
COPY demo demo
ENV PATH=/opt/demo/bin:$PATH PYTHONUNBUFFERED=1
USER 10002:10002
EXPOSE 8000
CMD ["python", "-m", "demo", "--bind", "0.0.0.0:8000"]

FROM python:${PYTHON}-slim AS sitecache
COPY --from=build /opt/sitecache /opt/sitecache
# The environment stands above a configuration file, so EXPOSE and HEALTHCHECK hold whatever the file says.
# Metrics and health stay on loopback: containers of the same pod, or of the same network namespace, reach them.
ENV PATH=/opt/sitecache/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SITECACHE_LISTEN=0.0.0.0:8080 \
    SITECACHE_ADMIN=127.0.0.1:9180
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection(os.environ['SITECACHE_ADMIN'], timeout=2); c.request('GET', '/livez'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["sitecache"]
# Needs SITECACHE_UPSTREAM, or SITECACHE_CONFIG and the file.
CMD ["serve"]
