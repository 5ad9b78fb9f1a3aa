# shellcheck shell=bash
# A site of its own for a script: an API on a free port and a simulated APP server that offers what
# is under apps/. Sourced from the root of the repository, after need.sh. `start_site TARGET
# [OPTION OF THE APP SERVER]…` starts the programs of that folder and sets `url`; the site, its
# files and the folder `home` go with the script.

start_site() {
    local target=$1
    shift
    home=$(mktemp -d)
    api='' app_server=''
    trap end_site EXIT
    export BCRL_DATA_DIR=$home/data BCRL_API__LISTEN=127.0.0.1:0 BCRL_LOG__FORMAT=json
    # So many requests from one address are not what rates are for.
    export BCRL_API__RATE__SUBMITS=off BCRL_API__RATE__REQUESTS=off
    "$target/debug/bcrl-sim" app-server --apps-dir apps --takes 0s --concurrency 64 "$@" \
        >"$home/app-server.log" 2>&1 &
    app_server=$!
    "$target/debug/bcrl-api" >"$home/api.log" 2>&1 &
    api=$!
    for _ in $(seq 100); do
        url=http://$(address_of_api)
        # The APIs are there as soon as the APP server has published them.
        if [ "$url" != http:// ] && curl -sf "$url/openapi.json" | grep submit_soc >/dev/null; then
            return
        fi
        kill -0 "$api" || break
        sleep 0.1
    done
    cat "$home/api.log" "$home/app-server.log" >&2
    die "the site did not start"
}

# Where the API listens, once it does.
address_of_api() {
    sed -n '/"the API listens"/s/.*"address":"\([^"]*\)".*/\1/p' "$home/api.log"
}

end_site() {
    local process
    for process in $api $app_server; do
        kill "$process" 2>/dev/null || true
    done
    wait
    rm -r "$home"
}

# Did a service say that a person must act?
site_met_trouble() {
    grep -E '"level":"ERROR"|panicked' "$home/api.log" "$home/app-server.log" >&2
}
