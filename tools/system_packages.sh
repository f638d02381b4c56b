#!/bin/sh
# Add what pip cannot: Icarus Verilog, the headers that Verilator's FST waveforms include, and a shared libpython.
# Only root with apt-get can do it; anyone else is told in one line a package what stays without it.
#
# Usage: system_packages.sh PYTHON [browser]
# With "browser" a Chromium, too, which only tests need.
set -eu
python=$1
browser=${2-}

have_header() { echo "#include <$1>" | g++ -E -x c++ - >/dev/null 2>&1; }
have_libpython() { test -n "$("$python" -m find_libpython)"; }
have_browser() {
    for program in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$program" >/dev/null && return
    done
    test -z "$browser"
}
can_install() { test "$(id -u)" = 0 && command -v apt-get >/dev/null; }
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

packages=""
command -v iverilog >/dev/null || packages="$packages iverilog"
have_header lz4.h || packages="$packages liblz4-dev"
have_header zlib.h || packages="$packages zlib1g-dev"
have_libpython || packages="$packages libpython$version"
have_browser || packages="$packages chromium"

if test -n "$packages" && can_install; then
    echo "Installing system packages:$packages"
    export DEBIAN_FRONTEND=noninteractive
    # A failure is not the end: what is still missing is named below.
    # shellcheck disable=SC2086  # the list is meant to be split
    { apt-get update -qq && apt-get install -y -qq $packages; } >/dev/null || true
fi

command -v iverilog >/dev/null || echo "NOTE: no iverilog, so the Icarus tests cannot run: install Icarus Verilog 11 or newer" >&2
{ have_header lz4.h && have_header zlib.h; } ||
    echo "NOTE: no lz4.h or zlib.h, so Verilator cannot write waveforms: install liblz4-dev and zlib1g-dev" >&2
have_browser ||
    echo "NOTE: no Chromium, so the browser's tests fail: install chromium, or leave them out with SPINBNN_BROWSER=none" >&2
have_libpython || {
    echo "cocotb needs the shared library of Python $version: install libpython$version, or a Python built with --enable-shared" >&2
    exit 2
}
