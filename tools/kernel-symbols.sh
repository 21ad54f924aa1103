#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Lists what the kernel files define that the @Kernel tags name.
#
# usage: tools/kernel-symbols.sh KERNEL-SOURCE-DIRECTORY > lab/src/test/resources/kernel-symbols.txt
#
# Output: a line "== FILE", then the names that FILE defines, one a line, sorted: functions, macros,
# types ("struct x", "enum x", "union x"), enumerators, variables. Only names, no code. A test
# resolves every tag against this list, so run it again when a tag names a file for the first time.
#
# It is no C parser: it takes comments and strings away and looks at how kernel code is laid out. A
# name too many does no harm, a name that is missing fails the test.
set -eu
LC_ALL=C
export LC_ALL
kernel=${1:?usage: tools/kernel-symbols.sh KERNEL-SOURCE-DIRECTORY}
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

tagged_files() {
  find "$here" -path '*/src/main/java/*' -name '*.java' -exec cat {} + |
    tr '\n' ' ' | grep -o '@Kernel( *file = "[^"]*"' | sed 's/.*"\(.*\)"/\1/' | sort -u
}

names() {
  awk '
    function emit(name) { if (name ~ /^[A-Za-z_][A-Za-z0-9_]*$/) print name }

    # Flags and page types: one macro call defines a family of functions.
    function family(upper, lower) {
      emit("Page" upper); emit("SetPage" upper); emit("ClearPage" upper)
      emit("__SetPage" upper); emit("__ClearPage" upper)
      emit("folio_test_" lower); emit("folio_set_" lower); emit("folio_clear_" lower)
      emit("__folio_set_" lower); emit("__folio_clear_" lower)
    }

    {
      line = $0
      gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
      if (comment) {
        if (!match(line, /\*\//)) next
        line = substr(line, RSTART + 2); comment = 0
      }
      while (match(line, /\/\*/)) {
        head = substr(line, 1, RSTART - 1); rest = substr(line, RSTART + 2)
        if (match(rest, /\*\//)) line = head " " substr(rest, RSTART + 2)
        else { line = head; comment = 1 }
      }
      sub(/\/\/.*/, "", line)
    }

    line ~ /^[ \t]*#[ \t]*define[ \t]/ {
      name = line; sub(/^[ \t]*#[ \t]*define[ \t]+/, "", name); sub(/[^A-Za-z0-9_].*/, "", name)
      emit(name); next
    }

    {
      rest = line
      while (match(rest, /(struct|union|enum)[ \t]+[A-Za-z_][A-Za-z0-9_]*[ \t]*(\{|$)/)) {
        type = substr(rest, RSTART, RLENGTH); sub(/[ \t]*\{?$/, "", type); gsub(/[ \t]+/, " ", type)
        print type
        rest = substr(rest, RSTART + RLENGTH)
      }
      if (line ~ /enum[ \t]*([A-Za-z_][A-Za-z0-9_]*)?[ \t]*\{/) enumerating = 1
      if (enumerating) {
        body = line; sub(/.*\{/, "", body)
        count = split(body, parts, ",")
        for (i = 1; i <= count; i++) {
          name = parts[i]; sub(/^[ \t]*/, "", name); sub(/[^A-Za-z0-9_].*/, "", name); emit(name)
        }
        if (line ~ /\}/) enumerating = 0
      }
    }

    line ~ /^(PAGEFLAG|TESTPAGEFLAG|__PAGEFLAG|PAGE_TYPE_OPS|PAGEFLAG_FALSE|TESTPAGEFLAG_FALSE)[A-Z_]*\(/ {
      call = line; sub(/^[^(]*\(/, "", call); split(call, args, /[ \t]*[,)][ \t]*/)
      family(args[1], args[2]); if (line ~ /^PAGE_TYPE_OPS/) family(args[1], args[3]); next
    }

    line ~ /^(FOLIO_FLAG|FOLIO_TEST_FLAG|FOLIO_TYPE_OPS|TESTHPAGEFLAG|HPAGEFLAG)[A-Z_]*\(/ {
      call = line; sub(/^[^(]*\(/, "", call); split(call, args, /[ \t]*[,)][ \t]*/)
      family(args[1], args[1]); emit("folio_test_hugetlb_" args[2]); emit("folio_set_hugetlb_" args[2])
      emit("folio_clear_hugetlb_" args[2]); next
    }

    line ~ /^[A-Za-z_].*\(/ {
      name = line
      gsub(/(__printf|__aligned|__section|__attribute__|__alloc_size|__releases|__acquires|__must_hold|__cond_acquires|__nonnull)\(+[^()]*\)+/, "", name)
      call = name
      sub(/[ \t]*\(.*/, "", name); sub(/.*[^A-Za-z0-9_]/, "", name); emit(name)
      if (name ~ /^(DEFINE|DECLARE|LIST_HEAD|SYSCALL|core_param|__setup|early_param|hugetlb_early_param|late_initcall|subsys_initcall|module)/) {
        sub(/^[^(]*\(/, "", call); count = split(call, args, /[ \t]*[,)][ \t]*/)
        for (i = 1; i <= count; i++) emit(args[i])
      }
    }

    line ~ /^[A-Za-z_].*[;=]/ || line ~ /^[A-Za-z_][^(]*\[[^]]*\]/ {
      name = line
      sub(/[ \t]*=.*/, "", name); sub(/;.*/, "", name)
      while (sub(/[ \t]*\[[^]]*\][ \t]*$/, "", name)) { }
      gsub(/[ \t]+__[a-z_]+(\([^)]*\))?[ \t]*$/, "", name)
      while (sub(/[ \t]*\[[^]]*\][ \t]*$/, "", name)) { }
      count = split(name, parts, /[ \t]*,[ \t]*/)
      for (i = 1; i <= count; i++) { one = parts[i]; sub(/.*[^A-Za-z0-9_]/, "", one); emit(one) }
    }

    line ~ /^typedef.*;[ \t]*$/ {
      name = line; sub(/[ \t]*;[ \t]*$/, "", name); sub(/.*[^A-Za-z0-9_]/, "", name); emit(name)
    }

    line ~ /^\}.*[A-Za-z_][A-Za-z0-9_]*[ \t]*;/ {
      name = line; sub(/[ \t]*;.*/, "", name); sub(/.*[^A-Za-z0-9_]/, "", name); emit(name)
    }
  ' "$1" | sort -u
}

tagged_files | while read -r file; do
  if [ ! -f "$kernel/$file" ]; then
    echo "kernel-symbols: $kernel/$file does not exist" >&2
    continue
  fi
  echo "== $file"
  names "$kernel/$file"
done
