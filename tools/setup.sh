#!/bin/bash
# Installs what Striate needs and nothing else: Debian packages, LibTorch into .deps/libtorch, and
# what the page of `striate look report` is made with into web/node_modules. Every call after the
# first takes a second. STRIATE_LIBTORCH=/path uses a LibTorch that exists; --browser also installs
# what tests the page.
set -euo pipefail
cd "$(dirname "$0")/.."

browser=
[ "${1:-}" = --browser ] && browser=yes

libtorch_version=2.13.0
packages=(g++ cmake ninja-build ccache clang-format-14 python3 python3-pip
          libjpeg62-turbo-dev libpng-dev libgif-dev zlib1g-dev nlohmann-json3-dev libcli11-dev libfmt-dev
          libgtest-dev libbenchmark-dev libhwy-dev libpugixml-dev libstemmer-dev libutf8proc-dev
          dataset-fashion-mnist)

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  command -v apt-get >/dev/null || {
    echo "setup: this script knows Debian and its kin; install by hand: ${missing[*]}" >&2
    return 1
  }
  echo "setup: installing ${missing[*]}" >&2
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
}

# The wheel of PyTorch holds LibTorch: libraries and headers. Its Python side stays unused.
install_libtorch() {
  local root=.deps/libtorch
  local stamp=$root/striate-libtorch-$libtorch_version
  [ -e "$stamp" ] && return
  echo "setup: fetching LibTorch $libtorch_version" >&2
  rm -rf "$root"
  mkdir -p "$root"
  local pip=(python3 -m pip install --quiet --no-warn-script-location --disable-pip-version-check
             --root-user-action=ignore --target "$root")
  "${pip[@]}" --no-deps "torch==$libtorch_version"
  # A CUDA wheel needs the CUDA libraries that it names; the CPU wheel has none.
  if [ -e "$root/torch/lib/libtorch_cuda.so" ]; then
    rm -rf "$root"
    "${pip[@]}" "torch==$libtorch_version"
  fi
  touch "$stamp"
}

# Node.js may also come from elsewhere than Debian, and brings npm then.
install_node() {
  local wanted=()
  command -v node >/dev/null || wanted+=(nodejs)
  command -v npm >/dev/null || wanted+=(npm)
  install_packages "${wanted[@]}"
}

install_page_libraries() {
  local lock=web/package-lock.json stamp=web/node_modules/striate-lock.json
  cmp -s "$lock" "$stamp" && [ -z "$browser" -o -e web/node_modules/puppeteer-core ] && return
  echo "setup: fetching the libraries of the page" >&2
  local only=(--omit=dev)
  [ -n "$browser" ] && only=()
  (cd web && npm ci --silent --ignore-scripts "${only[@]}") && cp "$lock" "$stamp"
}

install_packages "${packages[@]}"
# Without them everything but the page is built.
{ install_node && install_page_libraries; } ||
  echo "setup: no Node.js or npm; the program will have no page for \`striate look report\`" >&2
[ -z "$browser" ] || command -v chromium >/dev/null || install_packages chromium ||
  echo "setup: no Chromium; the page stays untested" >&2
if [ -n "${STRIATE_LIBTORCH:-}" ]; then
  found=
  for root in "$STRIATE_LIBTORCH"{,/torch,/libtorch}; do
    [ -e "$root/include/torch/csrc/api/include/torch/types.h" ] && found=$root
  done
  [ -n "$found" ] || { echo "setup: STRIATE_LIBTORCH=$STRIATE_LIBTORCH holds no LibTorch" >&2; exit 1; }
else
  install_libtorch
fi
