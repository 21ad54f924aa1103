#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# collect-facts.sh DIR: copies what `vmemmap boot --host DIR` reads of this Linux host into DIR,
# under the same relative names. Run as root: only root sees addresses in /proc/iomem.
set -eu
[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
dir=$1

copy() {
  [ -r "/$1" ] || return 0
  mkdir -p "$dir/$(dirname "$1")"
  cat "/$1" >"$dir/$1"
}

for file in proc/iomem proc/cmdline proc/vmstat proc/zoneinfo proc/sys/kernel/osrelease \
    proc/sys/vm/hugetlb_optimize_vmemmap sys/devices/system/memory/block_size_bytes; do
  copy "$file"
done
for file in /sys/kernel/mm/hugepages/*/nr_hugepages; do
  copy "${file#/}"
done

uname -m >"$dir/machine"

# Which memory block is on which node: the names are enough.
for block in /sys/devices/system/node/node*/memory[0-9]*; do
  [ -e "$block" ] || continue
  mkdir -p "$dir/$(dirname "${block#/}")"
  : >"$dir/${block#/}"
done

if ! grep -q '[1-9a-f]' "$dir/proc/iomem" || ! cut -d: -f1 "$dir/proc/iomem" | grep -q '[1-9a-f]'; then
  echo "$0: /proc/iomem shows no addresses: run this as root" >&2
  exit 1
fi
echo "facts of $(uname -n) ($(uname -r), $(uname -m)) are in $dir"
