# docker build --tag seedbed .
# docker run --rm --volume "$PWD:/study" seedbed demo
#
# For a GPU: docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 …
ARG PYTHON=3.11
FROM python:${PYTHON}-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /usr/src/seedbed
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY finetune ./finetune
COPY analysis ./analysis
COPY release ./release
COPY mlruns_config ./mlruns_config
RUN python -m pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" . -c constraints.txt

RUN useradd --create-home seedbed && install --directory --owner seedbed /study
USER seedbed
WORKDIR /study
ENTRYPOINT ["finetune"]
CMD ["--help"]
