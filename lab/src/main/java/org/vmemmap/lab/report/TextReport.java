// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import java.util.List;
import java.util.Map;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.boot.Sizes;
import org.vmemmap.lab.observe.Invariants;

/** The report as a terminal shows it. */
public final class TextReport {
  private static final int SUBSECTION_SHIFT = 21;
  private static final int WIDTH = 98;
  private static final int INDENT = 10;

  private TextReport() {}

  /** Writes {@code report}; the last line says what was verified. */
  public static String of(BootReport report) {
    StringBuilder text = new StringBuilder();
    machine(text, report);
    int pageSize = report.spec().profile().pageSize();
    int sectionBits = report.spec().config().sectionSizeBits();
    text.append("\nSections of ").append(amount(1L << sectionBits)).append('\n');
    text.append(sections(report.sections(), sectionBits));
    text.append("\nMemmap\n").append(memmap(report.memmap(), pageSize));
    costs(text, report);
    BootReport.Picture picture = report.picture();
    if (picture != null) {
      text.append("\nMemmap of the ").append(picture.title()).append('\n').append(picture.text());
    }
    Beside beside = report.beside();
    if (beside != null) {
      text.append('\n').append(beside.text());
    }
    text.append('\n').append(verified(report.verified()));
    return text.toString();
  }

  /** What HVO saves, and nothing else: the hugepages of {@code report} and what was verified. */
  public static String saving(BootReport report) {
    StringBuilder text = new StringBuilder();
    for (String line : report.log()) {
      text.append("Log       ").append(line).append('\n');
    }
    costs(text, report);
    return text.append('\n').append(verified(report.verified())).toString();
  }

  private static void machine(StringBuilder text, BootReport report) {
    MachineSpec spec = report.spec();
    text.append(
        "Machine   %s, %s RAM on %s\n"
            .formatted(spec.profile().text(), amount(spec.ramBytes()), nodes(spec.ram())));
    if (!spec.cmdline().isEmpty()) {
      text.append("Cmdline   ").append(String.join(" ", spec.cmdline())).append('\n');
    }
    for (String line : report.asked()) {
      text.append("Default   ").append(line).append('\n');
    }
    for (String line : report.log()) {
      text.append("Log       ").append(line).append('\n');
    }
    for (String line : report.terminal()) {
      text.append('\n').append(line.indent(2).stripTrailing()).append('\n');
    }
  }

  private static String nodes(List<Ram> ram) {
    long nodes = ram.stream().mapToInt(Ram::node).distinct().count();
    return nodes == 1 ? "1 node" : nodes + " nodes";
  }

  /** Bytes with two decimals of the unit that suits them. */
  public static String amount(long bytes) {
    String[] units = {"KiB", "MiB", "GiB", "TiB"};
    double value = bytes / 1024.0;
    int unit = 0;
    while (Math.abs(value) >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit++;
    }
    return value == Math.rint(value)
        ? "%d %s".formatted((long) value, units[unit])
        : "%.2f %s".formatted(value, units[unit]);
  }

  private static String frames(long count, int pageSize) {
    return amount(count * pageSize);
  }

  /** The table of sections. */
  public static String sections(List<BootReport.SectionRow> rows, int sectionBits) {
    Table table =
        new Table("lllllrl", "sections", "memory", "node", "zones", "mapped by", "pages", "flags");
    for (BootReport.SectionRow row : rows) {
      table.row(
          row.count() == 1 ? row.first() : row.first() + "-" + (row.first() + row.count() - 1),
          "0x%x-0x%x".formatted(row.start(), row.end() - 1),
          row.node(),
          String.join(",", row.zones()),
          leaves(row.pmdLeaves(), row.pteLeaves()),
          row.memmapPages(),
          String.join(" ", row.flags()) + partial(row.subsections(), sectionBits));
    }
    return table.toString();
  }

  private static String partial(long subsections, int sectionBits) {
    int all = 1 << (sectionBits - SUBSECTION_SHIFT);
    long full = all >= Long.SIZE ? -1 : (1L << all) - 1;
    return subsections == full || subsections == 0
        ? ""
        : " (%d of %d subsections)".formatted(Long.bitCount(subsections), all);
  }

  private static String leaves(long pmd, long pte) {
    if (pmd == 0) {
      return pte + " pte";
    }
    return pte == 0 ? pmd + " pmd" : pmd + " pmd + " + pte + " pte";
  }

  private static String memmap(BootReport.MemmapRow row, int pageSize) {
    StringBuilder tables = new StringBuilder();
    for (Map.Entry<String, Long> entry : row.tables().entrySet()) {
      tables.append(tables.isEmpty() ? "" : ", ").append(entry.getValue() + " " + entry.getKey());
    }
    return """
      mapped                %d pages (%s) by %s leaves, %d pages read-only
      frames behind it      %d (%s)
      page tables           %s
      nr_memmap_boot_pages  %d
      nr_memmap_pages       %d
    """
        .formatted(
            row.mapped(),
            frames(row.mapped(), pageSize),
            leaves(row.pmdLeaves(), row.pteLeaves()),
            row.readOnly(),
            row.distinct(),
            frames(row.distinct(), pageSize),
            tables.isEmpty() ? "none" : tables,
            row.bootPages(),
            row.runtimePages());
  }

  private static void costs(StringBuilder text, BootReport report) {
    int pageSize = report.spec().profile().pageSize();
    if (!report.hugepages().isEmpty()) {
      text.append("\nHugeTLB: frames of memmap\n").append(hugepages(report.hugepages(), pageSize));
    }
    if (!report.devices().isEmpty()) {
      text.append("\nDevice DAX: frames of memmap\n").append(devices(report.devices(), pageSize));
    }
  }

  private static String hugepages(List<BootReport.HugeRow> rows, int pageSize) {
    Table table =
        new Table(
            "lrrlrrrrr",
            "size",
            "pages",
            "optimised",
            "nodes",
            "before",
            "after",
            "shared tails",
            "page tables",
            "net saving");
    for (BootReport.HugeRow row : rows) {
      StringBuilder nodes = new StringBuilder();
      row.perNode()
          .forEach((node, n) -> nodes.append(nodes.isEmpty() ? "" : " ").append(node + ":" + n));
      BootReport.Cost cost = row.cost();
      table.row(
          Sizes.text(row.size()),
          row.total(),
          row.optimized(),
          nodes,
          cost.before(),
          cost.after(),
          cost.tails(),
          cost.tables(),
          net(cost, pageSize));
    }
    return table.toString();
  }

  private static String devices(List<BootReport.DeviceRow> rows, int pageSize) {
    Table table =
        new Table(
            "lllllrrrrr",
            "device",
            "memory",
            "size",
            "align",
            "map",
            "before",
            "after",
            "shared tails",
            "page tables",
            "net saving");
    for (BootReport.DeviceRow row : rows) {
      BootReport.Cost cost = row.cost();
      table.row(
          row.name(),
          "0x%x-0x%x".formatted(row.start(), row.start() + row.size() - 1),
          amount(row.size()),
          Sizes.text(row.align()),
          map(row),
          cost.before(),
          cost.after(),
          cost.tails(),
          cost.tables(),
          net(cost, pageSize));
    }
    return table.toString();
  }

  /** A memmap in the device takes pages of the device, none of RAM. */
  private static String map(BootReport.DeviceRow row) {
    return row.altmapPages() == 0 ? row.map() : "dev (" + row.altmapPages() + " of its pages)";
  }

  private static String net(BootReport.Cost cost, int pageSize) {
    return cost.net() + " (" + frames(cost.net(), pageSize) + ")";
  }

  /** The rules with their counts, and the last line. */
  private static String verified(Invariants.Report verified) {
    StringBuilder text = new StringBuilder();
    for (Invariants.Violation violation : verified.violations()) {
      text.append("Violated  ").append(violation).append('\n');
    }
    int column = 0;
    for (Map.Entry<String, Long> rule : verified.checks().entrySet()) {
      String item = rule.getKey() + " " + rule.getValue();
      if (column == 0 || column + item.length() + 2 > WIDTH) {
        text.append(column == 0 ? "Checked   " : ",\n          ");
        column = INDENT;
      } else {
        text.append(", ");
        column += 2;
      }
      text.append(item);
      column += item.length();
    }
    return text.append(
            "\nVerified  %d checks of %d rules, %d violations\n"
                .formatted(
                    verified.total(), verified.checks().size(), verified.violations().size()))
        .toString();
  }
}
