# Sourced by quickstart.sh and run_tests.sh from the project's root. Makes .venv
# with the project and all it needs, once, and activates it. PYTHON names
# another interpreter (3.10 or newer).

_find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11 \
        python3.10; do
        if "$candidate" -c 'import sys, venv, ensurepip
sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.10 or newer with its venv module is needed (on Debian and" \
        "Ubuntu: apt install python3-venv). PYTHON=... names one." >&2
    return 1
}

_install() {
    local want stamp=.venv/.installed
    want="$(cat setup.cfg tools/install.sh | cksum) in $PWD"
    if [[ -x .venv/bin/python && -f "$stamp" &&
          "$(cat "$stamp")" == "$want" ]]; then
        return
    fi
    local python
    python="$(_find_python)"
    echo "Installing into .venv with $("$python" --version), some minutes"
    if ! .venv/bin/python -c '' 2>/dev/null; then
        "$python" -m venv --clear .venv
    fi
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
    .venv/bin/python -m pip install --quiet -e '.[mmcv-lite,tests]'
    # Without graphics libraries OpenCV's usual builds cannot be loaded.
    if ! .venv/bin/python -c 'import cv2' 2>/dev/null; then
        .venv/bin/python -m pip uninstall --quiet --yes \
            opencv-python opencv-contrib-python
        .venv/bin/python -m pip install --quiet opencv-contrib-python-headless
    fi
    .venv/bin/python -c 'import cast_mmaction'
    echo "$want" >"$stamp"
}

_install
source .venv/bin/activate
