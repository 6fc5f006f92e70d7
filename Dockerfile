# One image for every program: gateway (api, mesh), operator, worker, crew, migrations. `asya --help` lists them.
# An actor's image builds on it: FROM asya, COPY handlers.py /app/.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# A certificate bundle for pip, where the package index is reached through a proxy; it does not stay in the image.
ARG PIP_CERT
WORKDIR /src
RUN python3 -m venv /opt/asya
COPY pyproject.toml constraints.txt README.md LICENSE CHANGELOG.md ./
COPY crds ./crds
COPY operator ./operator
COPY gateway ./gateway
RUN /opt/asya/bin/pip install --quiet --no-cache-dir --disable-pip-version-check -c constraints.txt \
        '.[gateway,rabbitmq,pubsub,sqs,actor,operator,telemetry]' \
    && /opt/asya/bin/pip uninstall --yes --quiet pip setuptools

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/asya /opt/asya
# Handlers are imported from /app. Nothing is written outside /tmp, so the root file system may be read-only.
ENV PATH=/opt/asya/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
WORKDIR /app
# A number, since kubelet's runAsNonRoot cannot see that a name is not root's.
USER 65532:65532
EXPOSE 8080 9090
ENTRYPOINT ["asya"]
