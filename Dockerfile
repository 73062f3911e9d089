# Built in one stage, run in another: the image that runs has neither pip nor build tools.
# scripts/install-locked holds the steps; CI replays them without a container engine.
FROM python:3.13-slim-bookworm AS build

WORKDIR /source
COPY scripts/create-venv scripts/install-locked scripts/
COPY requirements/build.txt requirements/run.txt requirements/
RUN scripts/install-locked dependencies /opt/qida

COPY pyproject.toml README.md LICENSE ./
COPY config config/
COPY templates templates/
COPY worker worker/
RUN scripts/install-locked qida /opt/qida && mkdir -p /empty/var


FROM python:3.13-slim-bookworm

LABEL org.opencontainers.image.title="qida" \
      org.opencontainers.image.description="Reminders that arrive before the deadline does" \
      org.opencontainers.image.licenses="Apache-2.0"

COPY --from=build /opt/qida /opt/qida
# A volume mounted here takes over this owner; all else may be mounted read-only.
COPY --from=build --chown=10001:10001 /empty /var/lib/qida

ENV PATH=/opt/qida/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONUTF8=1 \
    QIDA_HOME=/var/lib/qida

USER 10001:10001
WORKDIR /var/lib/qida
VOLUME /var/lib/qida/var
EXPOSE 8080

# Starts the installed package; nothing is asked of the network or the database.
HEALTHCHECK --interval=60s --timeout=10s --start-period=20s \
    CMD ["qida", "--version"]

ENTRYPOINT ["qida"]
CMD ["run"]
