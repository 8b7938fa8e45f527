# mindrestore on a CPU, see docs/docker.md. Nobody has built this image yet.
FROM python:3.11-slim-bookworm

# g++ compiles the native operators when they are first used.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

# Dependencies first: a change of the sources does not fetch them again.
COPY requirements.txt /source/
RUN pip install --no-cache-dir -r /source/requirements.txt
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE /source/
COPY configs /source/configs
COPY scripts /source/scripts
COPY src /source/src
RUN pip install --no-cache-dir --no-deps /source

# Any user may run it: weights, native operators and fonts are kept in a folder that all may write to.
ENV HOME=/cache XDG_CACHE_HOME=/cache
RUN install -d -m 1777 /cache /data
VOLUME /cache
WORKDIR /data
ENTRYPOINT ["mindrestore"]
CMD ["--help"]
