// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.MachineSpec;
import picocli.CommandLine.Mixin;
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

  /** With all patches when it is left out. */
  @Mixin KernelOption kernel = new KernelOption();

  @Mixin VersusOption versus = new VersusOption();

  @Option(
      names = "--do",
      paramLabel = "COMMAND",
      description = {
        "After boot, 'echo VALUE > PATH' or 'cat PATH' below /proc and /sys. May be repeated."
      })
  List<String> actions = new ArrayList<>();

  @Mixin HelpOptions help = new HelpOptions();

  /** {@code spec} with the kernel that is asked for. */
  MachineSpec atLevel(MachineSpec spec) {
    return spec.withSeries(kernel.seriesOrLast());
  }
}
