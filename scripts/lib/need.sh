# shellcheck shell=bash
# What the other scripts need on a Debian machine: installed if it is missing, silent if it is not.
#
# Sourced from the root of the repository. Each `need_…` returns when its tool is there.
# Otherwise it installs the tool, or says what to install and ends the script.
# It never replaces a tool that is there and new enough.

apt_is_updated=no

say() {
    printf -- '-- %s\n' "$*" >&2
}

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo -- "$@"
    else
        sudo -n -- "$@"
    fi
}

# Can this script install Debian packages at all?
can_apt() {
    command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null; }
}

apt_update() {
    [ "$apt_is_updated" = no ] || return 0
    say "updating the list of Debian packages"
    as_root apt-get update -qq || return 1
    apt_is_updated=yes
}

# apt_install WHAT PACKAGE…
apt_install() {
    local what=$1 by_hand
    shift
    by_hand="$what is missing; install it and start again, on Debian: apt-get install $*"
    can_apt || die "$by_hand"
    apt_update || die "$by_hand"
    say "$what is missing: installing $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        --no-remove -o DPkg::Lock::Timeout=300 "$@" </dev/null >/dev/null || die "$by_hand"
}

# Does apt offer this package?
apt_offers() {
    can_apt && apt_update && apt-cache policy "$1" | grep 'Candidate: [^(]' >/dev/null
}

need_c_compiler() {
    # Tried for real: a compiler without the C library's headers is a common half.
    printf '#include <stdlib.h>\nint main(void) { return 0; }\n' |
        cc -x c -o /dev/null - 2>/dev/null ||
        apt_install "a C compiler" gcc libc6-dev
}

need_python() {
    command -v python3 >/dev/null || apt_install "Python" python3
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' ||
        die "Python 3.9 or newer is needed, and there is $(python3 --version)"
}

# `bcrl-worker prepare` makes virtual environments, which Debian packs apart.
need_python_venv() {
    need_python
    python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install "Python's venv" python3-venv
}

# need_python_packages ENVIRONMENT LIST [OPTION OF pip install]…: an environment that holds the
# packages of this list.
need_python_packages() {
    local environment=$1 list=$2
    shift 2
    ! cmp -s "$list" "$environment/packages.txt" || return 0
    say "installing the packages of $list into $environment"
    python3 -m venv --system-site-packages "$environment"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "$@" --requirement "$list" ||
        die "the packages of $list cannot be installed; see what pip says above"
    cp "$list" "$environment/packages.txt"
}

# With fonts for Japanese, which a bare machine does not have.
need_chromium() {
    { command -v chromium && command -v chromedriver; } >/dev/null ||
        apt_install "Chromium with its driver" chromium chromium-driver
    fc-list :lang=ja 2>/dev/null | grep -q . || apt_install "a Japanese font" fontconfig fonts-noto-cjk
}

# Tests start a server of their own, on a temporary folder. Debian keeps its programs out of PATH.
need_postgresql() {
    command -v setpriv >/dev/null || apt_install setpriv util-linux
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null ||
        apt_install PostgreSQL postgresql
}

need_curl() {
    command -v curl >/dev/null || apt_install curl curl ca-certificates
}

need_shellcheck() {
    command -v shellcheck >/dev/null || apt_install shellcheck shellcheck
}

# The version that Cargo.toml asks for.
wanted_rust() {
    sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml
}

rust_is_new_enough() {
    local wanted found
    wanted=$(wanted_rust)
    command -v cargo >/dev/null || return 1
    found=$(rustc --version 2>/dev/null | cut -d ' ' -f 2) || return 1
    [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ]
}

# Debian 12 and older have no package of it: by its own installer, into the user's home.
install_rustup() {
    local by_hand
    by_hand="Rust $(wanted_rust) or newer is needed; install it as https://rustup.rs says and start again"
    need_curl
    say "installing rustup, which installs Rust, by its own installer"
    curl --proto '=https' --tlsv1.2 -sSf --retry 3 https://sh.rustup.rs |
        sh -s -- -y --quiet --profile minimal --default-toolchain none --no-modify-path || die "$by_hand"
    command -v rustup >/dev/null || die "$by_hand"
}

need_rust() {
    ! rust_is_new_enough || return 0
    PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    ! rust_is_new_enough || return 0

    if ! command -v rustup >/dev/null; then
        if apt_offers rustup; then
            apt_install "rustup, which installs Rust," rustup ca-certificates
        else
            install_rustup
        fi
    fi
    say "installing the stable Rust toolchain (Rust $(wanted_rust) or newer is needed)"
    rustup toolchain install stable --profile minimal --no-self-update
    if rustup default >/dev/null 2>&1; then
        # Somebody chose a default: it stays, and only this script uses the new one.
        export RUSTUP_TOOLCHAIN=stable
    else
        rustup default stable
    fi
    rust_is_new_enough || die "Rust $(wanted_rust) or newer is needed, and there is" \
        "$(rustc --version || echo none)"
}

# need_rust_component COMPONENT SUBCOMMAND
need_rust_component() {
    ! cargo "$2" --version >/dev/null 2>&1 || return 0
    command -v rustup >/dev/null ||
        die "cargo $2 is missing; install the component $1 of your Rust toolchain"
    say "installing $1, for cargo $2"
    rustup component add "$1"
}

need_cargo_deny() {
    ! cargo deny --version >/dev/null 2>&1 || return 0
    say "building cargo-deny, for licences and sources (several minutes, once)"
    cargo install --locked --version '^0.20' cargo-deny
}
