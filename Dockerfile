# The broker in an image: no compiler, no root, no secret in it. Settings and mappings lie in /etc/radbroker.
FROM python:3.12-slim AS build
WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY broker broker
RUN python -m venv /opt/radbroker
RUN /opt/radbroker/bin/pip install --no-cache-dir --only-binary :all: -c constraints.txt setuptools
RUN /opt/radbroker/bin/pip install --no-cache-dir --only-binary :all: --no-build-isolation -c constraints.txt '.[postgresql]'

FROM python:3.12-slim
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /var/lib/radbroker radbroker \
    && install --directory --owner radbroker --group radbroker --mode 0700 /var/lib/radbroker
COPY --from=build /opt/radbroker /opt/radbroker
COPY mappings /etc/radbroker/mappings
COPY config/compose/broker.yaml /etc/radbroker/config/broker.yaml
ENV PATH=/opt/radbroker/bin:$PATH
WORKDIR /etc/radbroker
USER radbroker
VOLUME /var/lib/radbroker
EXPOSE 2575 11112 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["broker"]
CMD ["run"]
