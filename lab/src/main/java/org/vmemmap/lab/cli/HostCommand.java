// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Cmdline;
import org.vmemmap.lab.boot.HostFacts;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Numbers;
import org.vmemmap.lab.boot.Sizes;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.lab.report.HostReport;
import org.vmemmap.lab.report.MemmapSnapshot;
import org.vmemmap.lab.report.ReportBuilder;
import org.vmemmap.lab.report.TextReport;
import org.vmemmap.pagealloc.Placement;

/**
 * {@code vmemmap boot --host}: the host's memmap beside the model's, and what HVO would save.
 *
 * <p>For the comparison the machine only boots until zones and memmap exist, which costs little on
 * any host. For the saving it boots completely, with the hugepages that the host has or that {@code
 * --cmdline} asks for.
 */
final class HostCommand {
  private static final double HEAP_SHARE = 0.8;

  private final HostFacts facts;
  private final List<String> extra;
  private final int levels;
  private final PrintWriter out;
  private final String root;

  HostCommand(MachineOptions options, String root, PrintWriter out) {
    if (options.machine != null
        || options.mem != null
        || options.nodes != null
        || options.kernel.at != null
        || options.versus.vs != null
        || options.pageSize != null
        || options.vaBits != null
        || options.mmu != null
        || !options.arch.equals("x86-64")
        || !options.dax.isEmpty()
        || !options.actions.isEmpty()) {
      throw new BadInput(
          "--host " + root + ": the host is the machine, only --cmdline and --levels go with it");
    }
    this.levels = options.levels == null ? 4 : Numbers.parse("--levels", options.levels, 4, 5);
    this.extra = options.cmdline == null ? List.of() : Cmdline.words(options.cmdline);
    this.root = root;
    this.facts = HostFacts.read(Path.of(root));
    this.out = out;
  }

  /** Prints both parts; 1 when the model's numbers are not the host's. */
  int call() {
    MachineSpec spec = facts.toSpec(levels, List.of());
    boolean hostOptimized =
        facts.optimize() && facts.hugepages().values().stream().anyMatch(n -> n > 0);
    LabKernel kernel =
        hostOptimized && fits(spec) ? withHostPools(spec) : LabKernel.bootEarly(spec);
    HostReport report = new HostReport(root, facts, kernel);
    out.print(report.text());
    out.println();
    out.print(saving());
    return report.differences() == 0 ? Main.OK : Main.FAILED;
  }

  /** A struct page takes 64 bytes for 4 KiB, and the model keeps them in its heap. */
  private static boolean fits(MachineSpec spec) {
    return spec.ramBytes() / 64.0 < Runtime.getRuntime().maxMemory() * HEAP_SHARE;
  }

  private LabKernel withHostPools(MachineSpec spec) {
    LabKernel kernel = LabKernel.boot(spec, Placement.NONE);
    for (Map.Entry<Long, Long> pool : facts.hugepages().entrySet()) {
      kernel.write(
          "/sys/kernel/mm/hugepages/hugepages-" + pool.getKey() / 1024 + "kB/nr_hugepages",
          Long.toString(pool.getValue()));
    }
    return kernel;
  }

  private static boolean namesHugepages(List<String> words) {
    return words.stream().anyMatch(word -> word.startsWith("hugepages="));
  }

  /** The host's own words without those on hugepages, then HVO, then hugepages. */
  private List<String> hvoWords() {
    List<String> words = new ArrayList<>(facts.cmdline());
    words.removeIf(word -> word.startsWith("huge") || word.startsWith("default_huge"));
    words.add("hugetlb_free_vmemmap=on");
    if (namesHugepages(extra)) {
      words.addAll(extra);
      return words;
    }
    for (Map.Entry<Long, Long> pool : facts.hugepages().entrySet()) {
      if (pool.getValue() > 0) {
        words.add("hugepagesz=" + Sizes.text(pool.getKey()));
        words.add("hugepages=" + pool.getValue());
      }
    }
    words.addAll(extra);
    return words;
  }

  private String saving() {
    List<String> words = hvoWords();
    if (!namesHugepages(words)) {
      return "HVO saves nothing here: the host has no hugepages."
          + " Ask for some with --cmdline, as in --cmdline \"hugepages=512\".\n";
    }
    MachineSpec plain = facts.toSpec(levels, extra);
    if (!fits(plain)) {
      return "HVO: the memmap of %s RAM does not fit into this heap of %d MiB, wanted %s%dg\n"
          .formatted(
              TextReport.amount(plain.ramBytes()),
              Runtime.getRuntime().maxMemory() >> 20,
              "VMEMMAP_JAVA_OPTS=-Xmx",
              2 + (plain.ramBytes() >> 35));
    }
    MachineSpec spec = plain.withCmdline(words);
    MemmapSnapshot before = new MemmapSnapshot(LabKernel.bootEarly(plain).mm(), "");
    LabKernel kernel = LabKernel.boot(spec, Placement.NONE);
    return "What HVO saves here, with "
        + String.join(" ", words.stream().filter(word -> word.contains("huge")).toList())
        + "\n\n"
        + TextReport.saving(
            new ReportBuilder(kernel, before)
                .build(List.of(), List.of(), List.of(), Invariants.check(kernel)));
  }
}
