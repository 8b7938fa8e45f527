# mindrestore on an NVIDIA GPU, see docs/docker.md and docs/gpu.md. Nobody has built or run this image yet.
# MindSpore 2.10 asks for CUDA 11.6 with cuDNN 8.5; the driver, 510 or newer, is the machine's.
FROM nvidia/cuda:11.6.2-cudnn8-runtime-ubuntu20.04 AS cuda

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libgomp1 \
    && rm -rf /var/lib/apt/lists/*

# CUDA's libraries are NVIDIA's, where MindSpore looks for them. Its image holds cuDNN 8.4; 8.5 comes from the package index.
COPY --from=cuda /usr/local/cuda-11.6 /usr/local/cuda-11.6
RUN pip install --no-cache-dir --no-deps nvidia-cudnn-cu11==8.5.0.96
ENV CUDA_HOME=/usr/local/cuda-11.6 \
    LD_LIBRARY_PATH=/usr/local/cuda-11.6/lib64:/usr/local/lib/python3.11/site-packages/nvidia/cudnn/lib \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

COPY requirements.txt /source/
RUN pip install --no-cache-dir -r /source/requirements.txt
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE /source/
COPY configs /source/configs
COPY scripts /source/scripts
COPY src /source/src
RUN pip install --no-cache-dir --no-deps /source

ENV HOME=/cache XDG_CACHE_HOME=/cache
RUN install -d -m 1777 /cache /data
VOLUME /cache
WORKDIR /data
ENTRYPOINT ["mindrestore"]
CMD ["doctor", "--device", "gpu"]
