# shellcheck shell=bash
# Help, and steps with a title and a time. Sourced by the other scripts.

failed_steps=()

# A log that a machine keeps has no colours.
if [ "${CI:-}" = true ]; then
    export CARGO_TERM_COLOR=never NO_COLOR=1 TERM=dumb
fi

# The header of the script is its help.
show_help() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
}

# step TITLE COMMAND…: runs the command, notes its failure and goes on.
step() {
    local title=$1 start=$SECONDS
    shift
    printf '\n== %s\n' "$title"
    if "$@"; then
        printf '== %s: %d s\n' "$title" $((SECONDS - start))
    else
        printf '== %s: FAILED after %d s\n' "$title" $((SECONDS - start))
        failed_steps+=("$title")
    fi
}

all_well() {
    [ "${#failed_steps[@]}" -eq 0 ]
}

# The last word of a script: says how the steps went, and is true if all is well.
finish() {
    if all_well; then
        printf '\n%s: all well in %d s\n' "$0" "$SECONDS"
    else
        printf '\n%s: failed in %d s:\n' "$0" "$SECONDS"
        printf '  - %s\n' "${failed_steps[@]}"
        return 1
    fi
}
