# mindrestore on an Ascend 910, see docs/docker.md. Nobody has built or run this image yet.
# CANN is an image of Huawei's with the toolkit and the kernels of your chip, Python 3.10 to 3.12, and a CANN that MindSpore 2.10
# takes: 8.2, 8.3, 8.5, 9.0 or 9.1. Driver and firmware are the machine's.
ARG CANN
FROM ${CANN}
SHELL ["/bin/bash", "-c"]

COPY requirements.txt /source/
RUN pip install --no-cache-dir -r /source/requirements.txt
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE /source/
COPY configs /source/configs
COPY scripts /source/scripts
COPY src /source/src
RUN pip install --no-cache-dir --no-deps /source

ENV XDG_CACHE_HOME=/cache
RUN install -d -m 1777 /cache /data
VOLUME /cache
WORKDIR /data
# CANN is found by the environment that its script sets; where the script lies depends on the version.
ENTRYPOINT ["/bin/bash", "-c", "for script in /usr/local/Ascend/{ascend-toolkit,cann}/set_env.sh; do [[ ! -f $script ]] || source $script; done; exec mindrestore \"$@\"", "mindrestore"]
CMD ["doctor", "--device", "ascend"]
