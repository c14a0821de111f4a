#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Builds the guest's initramfs: tools and modules, cached, and what one run adds. Sourced by run.
# shellcheck disable=SC2154 # here and tmp are set by run

# Programs of this machine that are put into the guest when present.
GUEST_TOOLS=(
    bash dash ip tc ss bridge ethtool iperf3 nft ipvsadm jq strace bpftool setpriv capsh getcap setcap unshare nsenter
    sysctl modprobe
    iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore
    iptables-legacy iptables-legacy-save iptables-legacy-restore
    ip6tables-legacy ip6tables-legacy-save ip6tables-legacy-restore
    iptables-nft iptables-nft-save iptables-nft-restore ip6tables-nft ip6tables-nft-save ip6tables-nft-restore
    # Those of coreutils and util-linux whose options busybox lacks.
    date dd env sleep stat timeout taskset chrt prlimit stress-ng
)
# Directories of this machine that those programs load plugins and data from.
GUEST_TREES=(/usr/lib/x86_64-linux-gnu/xtables /usr/lib/tc /etc/iproute2)

# Modules put into the guest, where modprobe finds them. Kernels differ in what is a module: names that are built in or
# unknown are passed over.
GUEST_MODULES=(
    virtio_pci virtio_console virtio_net virtio_rng
    veth ifb dummy tun bridge macvlan vxlan tls
    sch_netem sch_fq sch_fq_codel sch_ingress sch_htb sch_tbf cls_bpf cls_u32 cls_matchall cls_flower act_mirred
    ip_tables iptable_filter iptable_raw iptable_mangle iptable_nat ip6_tables ip6table_filter ip6table_raw
    ip6table_mangle x_tables xt_tcpudp xt_comment xt_multiport xt_conntrack xt_mark xt_limit xt_LOG xt_NOTRACK xt_CT
    xt_statistic xt_string xt_u32 xt_bpf xt_nat ipt_REJECT ip6t_REJECT ip_vs ip_vs_rr
    nf_tables nft_compat nft_ct nft_counter nft_limit nft_log nft_reject nft_reject_inet nft_nat nft_chain_nat
    nf_conntrack nfnetlink nfnetlink_queue nft_queue
    tcp_bbr tcp_diag udp_diag inet_diag mptcp_diag
)

find_tool() { PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "$1"; }

# --- staging: a directory that becomes an archive --------------------------------------------------------------------

STAGE=''
# Paths that an archive loaded earlier already brings.
STAGED_BEFORE=()

stage_begin() { # stage_begin DIR
    STAGE=$1
    mkdir -p "$STAGE"/usr/{bin,sbin,lib,lib64,local/bin,local/sbin}
    # One layout whatever the host's: an archive that held /lib as a directory would replace a link of that name.
    local name
    for name in bin sbin lib lib64; do
        ln -s "usr/$name" "$STAGE/$name"
    done
}

# Copies a file, following links, and the libraries that it needs.
stage_file() { # stage_file SOURCE DEST
    mkdir -p "$STAGE${2%/*}"
    cp --dereference --preserve=mode,timestamps "$1" "$STAGE$2"
    chmod u+rw "$STAGE$2"
    stage_libraries "$1"
}

stage_libraries() { # stage_libraries FILE
    local magic='' library
    IFS= read -r -d '' -n 4 magic <"$1" || true
    [[ $magic == $'\x7fELF' ]] || return 0
    # ldd fails for a static program, which needs nothing.
    while read -r library; do
        [[ -e $STAGE$library || " ${STAGED_BEFORE[*]} " == *" $library "* ]] && continue
        mkdir -p "$STAGE${library%/*}"
        cp --dereference --preserve=mode,timestamps "$library" "$STAGE$library"
    done < <(ldd "$1" 2>/dev/null | sed -n 's/^[[:space:]]*\(.* => \)\{0,1\}\(\/[^ ]*\) (0x.*/\2/p')
}

# A program by name. Links stay links, as multi-call programs go by the name they are called by.
stage_program() { # stage_program NAME
    local path real
    path=$(find_tool "$1") || return 0
    [[ $path == /* ]] || return 0
    real=$(realpath "$path")
    [[ -e $STAGE$real ]] || stage_file "$real" "$real"
    [[ $path == "$real" ]] || {
        mkdir -p "$STAGE${path%/*}"
        [[ -e $STAGE$path || -L $STAGE$path ]] || ln -s "$real" "$STAGE$path"
    }
}

pack() { # pack DIR: as an archive on stdout
    (cd "$1" && find . -mindepth 1 -print0 | LC_ALL=C sort -z | cpio --create --format=newc --null --owner=0:0 --quiet)
}

# --- cached archives -------------------------------------------------------------------------------------------------

# The path of a cached archive, built by BUILDER DIR when there is none for this key. Several may be built at once;
# each is renamed when complete, so any of them is right.
cached_cpio() { # cached_cpio KIND KEY BUILDER ARGS...
    local kind=$1 archive stage
    archive=$CACHE/initramfs/$kind-$(sha256sum <<<"$2" | cut -c 1-16).cpio
    if [[ -f $archive ]]; then
        # Says that it is in use; see the tidying below.
        touch "$archive" "${archive%.cpio}.list"
        printf '%s\n' "$archive"
        return
    fi
    shift 2
    mkdir -p "$CACHE/initramfs"
    # Others of this kind, unused for hours, are of an older state of this machine.
    find "$CACHE/initramfs" -maxdepth 1 -name "$kind-*" -mmin +120 -delete
    stage=$tmp/stage-$kind
    "$1" "$stage" "${@:2}"
    (cd "$stage" && find . -mindepth 1 -not -type d -printf '/%P\n') >"$stage.list"
    pack "$stage" >"$stage.cpio"
    # The list first: whoever sees the archive needs it.
    mv "$stage.list" "$CACHE/initramfs/.${archive##*/}.$$.list"
    mv "$CACHE/initramfs/.${archive##*/}.$$.list" "${archive%.cpio}.list"
    mv "$stage.cpio" "$CACHE/initramfs/.${archive##*/}.$$"
    mv "$CACHE/initramfs/.${archive##*/}.$$" "$archive"
    rm -rf "$stage"
    printf '%s\n' "$archive"
}

# The key is what decides the content: this script, the programs, and the linker's cache for their libraries.
tools_cpio() {
    local paths=() path name
    for name in busybox "${GUEST_TOOLS[@]}"; do
        if path=$(find_tool "$name"); then paths+=("$path"); fi
    done
    for path in "${GUEST_TREES[@]}" /etc/ld.so.cache; do
        [[ ! -e $path ]] || paths+=("$path")
    done
    cached_cpio tools "$(sha256sum <"$here/initramfs.bash")$(stat -L -c '%n %s %Y' "${paths[@]}")" build_tools
}

build_tools() { # build_tools DIR
    stage_begin "$1"
    local dir name tree
    for dir in dev etc lab proc root run sys tmp var/tmp var/log usr/lib/busybox usr/share; do
        mkdir -p "$STAGE/$dir"
    done
    ln -s /run "$STAGE/var/run"
    stage_file "$(find_tool busybox)" /usr/bin/busybox
    for name in "${GUEST_TOOLS[@]}"; do
        stage_program "$name"
    done
    for name in $("$STAGE/usr/bin/busybox" --list); do
        ln -sf ../../bin/busybox "$STAGE/usr/lib/busybox/$name"
    done
    # Debian's, where it is: busybox's sh takes its own ip and others before those in PATH.
    name=busybox
    [[ ! -e $STAGE/usr/bin/dash ]] || name=dash
    ln -sf "$name" "$STAGE/usr/bin/sh"
    [[ -e $STAGE/usr/bin/env ]] || ln -s busybox "$STAGE/usr/bin/env"
    for tree in "${GUEST_TREES[@]}"; do
        [[ -d $tree ]] || continue
        mkdir -p "$STAGE$tree"
        cp -r --dereference --preserve=mode,timestamps "$tree/." "$STAGE$tree/"
    done
    for name in "$STAGE"/usr/lib/x86_64-linux-gnu/xtables/*.so; do
        stage_libraries "$name"
    done
    for name in protocols services; do
        [[ ! -r /etc/$name ]] || cp "/etc/$name" "$STAGE/etc/$name"
    done
    for name in l/linux v/vt100 v/vt220 x/xterm x/xterm-256color s/screen s/screen-256color t/tmux t/tmux-256color d/dumb; do
        for dir in /lib/terminfo /usr/share/terminfo; do
            [[ -r $dir/$name ]] || continue
            mkdir -p "$STAGE/usr/share/terminfo/${name%/*}"
            cp --dereference "$dir/$name" "$STAGE/usr/share/terminfo/$name"
        done
    done
    echo guest >"$STAGE/etc/hostname"
    printf '127.0.0.1 localhost guest\n::1 localhost\n10.0.0.1 left\n10.0.0.2 right\n' >"$STAGE/etc/hosts"
    printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$STAGE/etc/passwd"
    printf 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n' >"$STAGE/etc/group"
    printf 'passwd: files\ngroup: files\nhosts: files\n' >"$STAGE/etc/nsswitch.conf"
}

modules_cpio() { # modules_cpio KERNEL
    cached_cpio "modules-$1" "$(sha256sum <"$here/initramfs.bash")$(<"$CACHE/$1/package-version")" build_modules "$1"
}

build_modules() { # build_modules DIR KERNEL
    stage_begin "$1"
    local tree=$CACHE/$2/modules release dir file name
    release=$(<"$CACHE/$2/release")
    dir=$STAGE/usr/lib/modules/$release
    mkdir -p "$dir"
    # Module names use _ and - alike; file names do not.
    declare -A wanted=() file_of=() needs=()
    while IFS=': ' read -r file name; do
        needs[$file]=$name
        name=${file##*/}
        name=${name%%.ko*}
        file_of[${name//-/_}]=$file
    done <"$tree/modules.dep"
    for name in "${GUEST_MODULES[@]}"; do
        file=${file_of[$name]:-}
        [[ -n $file ]] || continue
        for file in $file ${needs[$file]}; do
            wanted[$file]=1
        done
    done
    for file in "${!wanted[@]}"; do
        mkdir -p "$dir/${file%/*}"
        # Unpacked here and once: emulation makes it slow in the guest.
        case $file in
            *.xz) xz --decompress --stdout "$tree/$file" >"$dir/${file%.xz}" ;;
            *.zst) zstd --quiet --decompress --stdout "$tree/$file" >"$dir/${file%.zst}" ;;
            *.gz) gzip --decompress --stdout "$tree/$file" >"$dir/${file%.gz}" ;;
            *) cp "$tree/$file" "$dir/$file" ;;
        esac
    done
    for name in builtin builtin.modinfo order; do
        [[ ! -r $tree/modules.$name ]] || cp "$tree/modules.$name" "$dir/"
    done
    "$(find_tool depmod)" -b "$STAGE" "$release"
}
