#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Lists the mutants that survived and that docs/MUTATION.md gives no reason for.
#
# usage: tools/survivors.sh MODULE MUTATIONS-CSV
#        tools/survivors.sh arch-x86 arch-x86/target/pit-reports/mutations.csv
#
# A survivor has a reason when a row of the module's table names its class and its method in backquotes.
# A row that names classes only is about all their methods. Output: a line for each survivor without
# a reason, one for each method of a row that has no survivor, and one when the column n of the rows
# adds up to another number than survive; exit 1 when there is a line.
set -eu
LC_ALL=C
export LC_ALL
module=${1:?usage: tools/survivors.sh MODULE MUTATIONS-CSV}
report=${2:?usage: tools/survivors.sh MODULE MUTATIONS-CSV}
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

if [ ! -r "$report" ]; then
  echo "survivors: $report: no such report; ./mvnw -Pmutation verify makes it" >&2
  exit 2
fi
grep -qx "### $module" "$here/docs/MUTATION.md" || {
  echo "survivors: $module: docs/MUTATION.md has no such section" >&2
  exit 2
}

missing=$(awk -F, -v module="$module" '
  # The first column of a row: `A.one`, `two`, `B` means the methods one and two of A, and all of B.
  function row(text,    n, parts, i, name, at, class, of) {
    n = split(text, parts, "`")
    for (i = 2; i <= n; i += 2) {
      name = parts[i]
      if (name ~ /^[A-Z][A-Za-z0-9]*\./) {
        at = index(name, ".")
        class = substr(name, 1, at - 1)
        of = class "." substr(name, at + 1)
      } else if (name ~ /^[A-Z][A-Za-z0-9]*$/) {
        class = name
        of = class ".*"
      } else if (class != "" && name ~ /^[a-z][A-Za-z0-9]*$/) {
        of = class "." name
      } else {
        continue
      }
      listed[of] = FNR
    }
  }

  FILENAME != ARGV[2] {
    if (/^## /) inside = 0
    if (/^### /) inside = ($0 == "### " module)
    if (inside && /^\| `/) {
      gsub(/\\\|/, "or")
      split($0, column, "|")
      row(column[2])
      reasons += column[3]
    }
    next
  }

  # file,class,mutator,method,line,status,test
  $6 == "SURVIVED" || $6 == "NO_COVERAGE" {
    survivors++
    class = $2
    sub(/.*\./, "", class)
    outer = class
    sub(/\$.*/, "", outer)
    sub(/.*\$/, "", class)
    method = $4
    if (method ~ /^lambda\$/) { sub(/^lambda\$/, "", method); sub(/\$[0-9]+$/, "", method) }
    if (method == "<init>" || method == "new") method = "constructor"
    if (method == "<clinit>" || method == "static") method = "constants"
    found = 0
    for (i = 1; i <= 2; i++) {
      name = (i == 1) ? class : outer
      if ((name "." method) in listed) { met[name "." method] = 1; found = 1 }
      if ((name ".*") in listed) { met[name ".*"] = 1; found = 1 }
    }
    mutator = $3
    sub(/.*\./, "", mutator)
    if (!found) { print class "." method ":" $5 " survives, and no row says why (" mutator ")" }
  }

  END {
    if (reasons != survivors + 0)
      print "docs/MUTATION.md: " module ": its rows are about " reasons " mutants, " survivors + 0 " survive"
    for (name in listed) if (!(name in met)) {
      print "docs/MUTATION.md:" listed[name] ": nothing of " name " survives"
    }
  }
' "$here/docs/MUTATION.md" "$report" | sort)

[ -z "$missing" ] || { printf '%s\n' "$missing"; exit 1; }
