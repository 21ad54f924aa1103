// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Numbers;
import org.vmemmap.types.Series;
import picocli.CommandLine.Option;

/** The options that say which machine to boot and what to do on it. */
final class MachineOptions {
  @Option(
      names = "--machine",
      paramLabel = "FILE",
      description = {
        "Boot the machine that FILE describes: a case file (.json), or text with lines as"
            + " /proc/iomem prints them, 'node N: START-END' and 'cmdline: ...'."
      })
  @Nullable String machine;

  @Option(
      names = "--arch",
      paramLabel = "ARCH",
      description = "x86-64 (default), arm64 or powerpc; boot also takes all.")
  String arch = "x86-64";

  @Option(
      names = "--levels",
      paramLabel = "N",
      description = "x86-64: page-table levels, 4 (default) or 5.")
  @Nullable String levels;

  @Option(
      names = "--page-size",
      paramLabel = "SIZE",
      description = "4K (default); arm64 also 16K and 64K, powerpc also 64K.")
  @Nullable String pageSize;

  @Option(
      names = "--va-bits",
      paramLabel = "N",
      description = "arm64: width of addresses (default 52); 48, with 16K pages 47, on older CPUs.")
  @Nullable String vaBits;

  @Option(names = "--mmu", paramLabel = "MMU", description = "powerpc: radix (default) or hash.")
  @Nullable String mmu;

  @Option(names = "--mem", paramLabel = "SIZE", description = "RAM of a virtual machine (default 8G).")
  @Nullable String mem;

  @Option(names = "--nodes", paramLabel = "N", description = "NUMA nodes of it (default 2).")
  @Nullable String nodes;

  @Option(
      names = "--cmdline",
      paramLabel = "WORDS",
      description = "Kernel command line, as in \"hugetlb_free_vmemmap=on hugepages=64\".")
  @Nullable String cmdline;

  @Option(
      names = "--dax",
      paramLabel = "SPEC",
      description = {
        "Add a device-DAX device:"
            + " size=SIZE[,align=4K|2M|1G][,map=mem|dev][,kind=hmem|pmem][,node=N]. May be"
            + " repeated."
      })
  List<String> dax = new ArrayList<>();

  @Option(
      names = "--at",
      paramLabel = "N",
      description = {
        "The kernel after the first N patches of the series, 0 to 49 (default), or a released one:"
            + " 7.1, 7.2 or 7.3. +SWITCH after it turns on a later fix or a form that was posted and"
            + " not merged, as in 49+tails-per-node; series lists them. -N takes patch N out, whatever"
            + " the others need of it, as in 7.3-11."
      })
  @Nullable String at;

  @Option(
      names = "--vs",
      paramLabel = "M",
      description = {
        "Show beside it the same machine with the kernel of another level, as --at takes it."
      })
  @Nullable String vs;

  /** {@code spec} with the kernel that --at asks for; with all patches when it is left out. */
  MachineSpec atLevel(MachineSpec spec) {
    return spec.withSeries(at == null ? Series.at(Series.LAST) : level("--at", at));
  }

  /** The kernel that --vs asks for; null for none. @throws BadInput for one that there is not */
  @Nullable Series versus() {
    return vs == null ? null : level("--vs", vs);
  }

  /** What a kernel of the series is called. */
  static String name(Series series) {
    return (series.name().contains(".") ? "Linux " : "level ") + series.name();
  }

  /** A level or profile by its name, with its switches. @throws BadInput for another */
  static Series level(String option, String text) {
    if (text.chars().skip(1).noneMatch(c -> ".+-".indexOf(c) >= 0)) {
      return Series.at(Numbers.parse(option, text, 0, Series.LAST));
    }
    try {
      return Series.named(text);
    } catch (IllegalArgumentException e) {
      throw new BadInput(
          option + " " + text + ": wanted 0 to 49, 7.1, 7.2 or 7.3, with -N for a patch of it and +SWITCH");
    }
  }

  @Option(
      names = "--do",
      paramLabel = "COMMAND",
      description = {
        "After boot, 'echo VALUE > PATH' or 'cat PATH' below /proc and /sys. May be repeated."
      })
  List<String> actions = new ArrayList<>();

  @Option(names = "--debug", description = "Show where an internal error comes from.")
  boolean debug;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  boolean help;
}
