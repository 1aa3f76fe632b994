#!/usr/bin/env bash
# Writes requirements/*.lock: every package `make` installs, with the hashes of all its files, from the versions in constraints.txt.
# torch is left out: which of its builds is right depends on the machine, and its CUDA packages come with it. Usage: tools/lock.sh PIP_COMPILE
set -eu
cd "$(dirname "$0")/.."
compile=${1:-pip-compile}
mkdir -p requirements
for name in base dev; do
  extras=(--extra build)
  [ "$name" = dev ] && extras+=(--extra test --extra train --extra dev)
  "$compile" --quiet --generate-hashes --allow-unsafe --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
    --no-emit-trusted-host --strip-extras --constraint constraints.txt "${extras[@]}" --output-file "requirements/$name.lock" pyproject.toml
  awk '/^[^ ]/ { keep = !/^(torch|triton|nvidia-|cuda-)/ } keep' "requirements/$name.lock" > "requirements/$name.part"
  mv "requirements/$name.part" "requirements/$name.lock"
done
