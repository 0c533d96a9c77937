# A Debian in a folder; sourced by docker.sh and debian.sh. Functions only.

# system_create SUITE FOLDER: debootstrap, with this machine's settings for apt, names and certificates.
system_create() {
    debootstrap --variant=minbase --include=ca-certificates "$1" "$2" >"$2.log" 2>&1 || { tail -20 "$2.log"; return 1; }
    cp /etc/resolv.conf "$2/etc/resolv.conf"
    local file
    for file in /usr/local/share/ca-certificates/*.crt; do
        if [ -e "$file" ]; then cp "$file" "$2/usr/local/share/ca-certificates/"; fi
    done
    chroot "$2" update-ca-certificates >/dev/null 2>&1
}

# system_mount FOLDER / system_unmount FOLDER: what builds and Java expect to find.
system_mount() {
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    mount --make-rslave "$1/dev"
}

system_unmount() {
    umount -l "$1/dev" 2>/dev/null || true
    umount -l "$1/proc" 2>/dev/null || true
}
