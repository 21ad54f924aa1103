// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Boards;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Sizes;
import org.vmemmap.lab.report.BootReport;
import org.vmemmap.lab.report.ReportBuilder;
import org.vmemmap.lab.report.Table;
import org.vmemmap.lab.report.TextReport;

/**
 * The same machine on all kernels of all architectures, one after the other. Kernels that come to
 * the same numbers stand together above one line of them.
 */
final class AllArchitectures {
  private static final String[] LEVELS = {"4", "5"};

  private final MachineOptions options;
  private final Map<List<Object>, List<String>> groups = new LinkedHashMap<>();
  private long checks;
  private long violations;

  AllArchitectures(MachineOptions options) {
    this.options = options;
    boolean one =
        options.machine != null
            || options.versus.vs != null
            || options.pageSize != null
            || options.vaBits != null
            || options.mmu != null
            || options.levels != null
            || !options.dax.isEmpty()
            || !options.actions.isEmpty();
    if (one) {
      throw new BadInput("--arch all: only --mem, --nodes, --cmdline and --at go with it");
    }
  }

  /** The table. */
  String text() {
    for (String levels : LEVELS) {
      MachineOptions pc = like(Profile.X86_64);
      pc.levels = levels;
      add(pc);
    }
    for (Profile profile : Boards.profiles()) {
      MachineOptions board = like(profile.arch());
      board.pageSize = Integer.toString(profile.pageSize());
      boolean arm64 = profile.arch().equals(Profile.ARM64);
      board.vaBits = arm64 ? Integer.toString(profile.vaBits()) : null;
      board.mmu = arm64 ? null : profile.mmu();
      add(board);
    }
    return table()
        + "\nVerified  %d checks, %d violations".formatted(checks, violations);
  }

  /** How many rules were found violated. */
  long violations() {
    return violations;
  }

  private MachineOptions like(String arch) {
    MachineOptions made = new MachineOptions();
    made.arch = arch;
    made.mem = options.mem;
    made.nodes = options.nodes;
    made.cmdline = options.cmdline;
    made.kernel.at = options.kernel.at;
    return made;
  }

  private void add(MachineOptions machine) {
    Bench bench = new Bench(machine);
    Bench.Booted booted = bench.boot();
    BootReport report =
        new ReportBuilder(booted.kernel(), booted.before())
            .build(
                bench.asked(), bench.terminal(), booted.devices(), bench.verify(booted.kernel()));
    checks += report.verified().total();
    violations += report.verified().violations().size();
    groups
        .computeIfAbsent(row(report), row -> new ArrayList<>())
        .add(report.spec().profile().text());
  }

  private static List<Object> row(BootReport report) {
    int pageSize = report.spec().profile().pageSize();
    BootReport.MemmapRow memmap = report.memmap();
    List<Object> row = new ArrayList<>();
    row.add(TextReport.amount(memmap.mapped() * pageSize));
    row.add(TextReport.amount(memmap.distinct() * pageSize));
    row.add(memmap.pmdLeaves());
    row.add(memmap.pteLeaves());
    row.add(memmap.bootPages());
    row.add(memmap.runtimePages());
    BootReport.HugeRow huge = report.hugepages().isEmpty() ? null : report.hugepages().getFirst();
    row.add(huge == null ? "-" : huge.total() + " x " + Sizes.text(huge.size()));
    row.add(huge == null ? "-" : TextReport.amount(huge.cost().net() * pageSize));
    BootReport.DeviceRow dax = report.devices().isEmpty() ? null : report.devices().getFirst();
    row.add(dax == null ? "-" : Sizes.text(dax.align()));
    row.add(dax == null ? "-" : TextReport.amount(dax.cost().net() * pageSize));
    return row;
  }

  private String table() {
    Table table =
        new Table(
            "lrrrrrrrrrr",
            "kernel",
            "memmap",
            "frames",
            "blocks",
            "pages",
            "boot pages",
            "runtime pages",
            "hugepages",
            "saved",
            "DAX align",
            "saved");
    groups.forEach(
        (row, kernels) -> {
          for (int i = 0; i < kernels.size() - 1; i++) {
            List<Object> name = new ArrayList<>(List.of(kernels.get(i)));
            row.forEach(cell -> name.add(""));
            table.row(name.toArray());
          }
          List<Object> last = new ArrayList<>(List.of(kernels.getLast()));
          last.addAll(row);
          table.row(last.toArray());
        });
    return table.toString();
  }
}
