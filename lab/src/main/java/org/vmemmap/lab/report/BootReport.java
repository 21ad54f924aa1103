// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import java.util.List;
import java.util.SortedMap;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.observe.Invariants;

/**
 * What there is to tell of a booted machine. Counts are base pages (frames) if nothing else is
 * said.
 *
 * @param spec the machine
 * @param asked what was put on it without being asked for; empty for nothing
 * @param terminal what was done after boot, as a terminal shows it
 * @param log lines of the kernel log that concern the memmap, and all warnings
 * @param sections runs of sections that look alike
 * @param memmap the whole memmap
 * @param hugepages one for each size with pages
 * @param devices one for each device
 * @param picture one hugepage's memmap before and after; null without hugepages
 * @param beside the same machine with another kernel; null for none
 * @param verified what was checked at the end
 */
public record BootReport(
    MachineSpec spec,
    List<String> asked,
    List<String> terminal,
    List<String> log,
    List<SectionRow> sections,
    MemmapRow memmap,
    List<HugeRow> hugepages,
    List<DeviceRow> devices,
    @Nullable Picture picture,
    @Nullable Beside beside,
    Invariants.Report verified) {

  /** The report with another kernel beside it. */
  public BootReport withBeside(Beside other) {
    return new BootReport(
        spec, asked, terminal, log, sections, memmap, hugepages, devices, picture, other, verified);
  }

  /**
   * Sections with consecutive numbers on one node.
   *
   * @param first number of the first
   * @param count how many
   * @param start first byte of memory
   * @param end first byte behind
   * @param node their node
   * @param zones names of the zones that span part of them
   * @param memmapPages mapped pages of their memmap
   * @param pmdLeaves of these, those behind 2 MiB leaves, counted in leaves
   * @param pteLeaves those behind base-page entries
   * @param flags names of the section flags
   * @param subsections bitmap of the subsections in use
   */
  public record SectionRow(
      long first,
      long count,
      long start,
      long end,
      int node,
      List<String> zones,
      long memmapPages,
      long pmdLeaves,
      long pteLeaves,
      List<String> flags,
      long subsections) {}

  /**
   * The memmap as a whole.
   *
   * @param mapped mapped pages, each mapping counted
   * @param distinct different frames behind them
   * @param readOnly mappings without write permission
   * @param pmdLeaves leaves of 2 MiB
   * @param pteLeaves leaves of a base page
   * @param tables page-table pages below the top level, by level name
   * @param bootPages nr_memmap_boot_pages
   * @param runtimePages nr_memmap_pages
   */
  public record MemmapRow(
      long mapped,
      long distinct,
      long readOnly,
      long pmdLeaves,
      long pteLeaves,
      SortedMap<String, Long> tables,
      long bootPages,
      long runtimePages) {}

  /**
   * What the memmap of some memory costs.
   *
   * @param before frames with one for each memmap page
   * @param after frames of its own
   * @param tails shared tails
   * @param tables page-table pages spent
   * @param net frames saved
   */
  public record Cost(long before, long after, long tails, long tables, long net) {
    static Cost of(MemmapCost cost) {
      return new Cost(cost.before(), cost.after(), cost.tails(), cost.tables(), cost.net());
    }
  }

  /**
   * The hugepages of one size.
   *
   * @param size in bytes
   * @param total hugepages in the pool
   * @param optimized those with an optimised memmap
   * @param perNode total by node
   * @param cost their memmap
   */
  public record HugeRow(
      long size, long total, long optimized, SortedMap<Integer, Long> perNode, Cost cost) {}

  /**
   * A device that is bound.
   *
   * @param name its name
   * @param start first byte of the mapped range
   * @param size bytes of it
   * @param align bytes of one page
   * @param map mem or dev
   * @param altmapPages pages of the device that hold its memmap
   * @param cost its memmap
   */
  public record DeviceRow(
      String name, long start, long size, long align, String map, long altmapPages, Cost cost) {}

  /**
   * A drawing.
   *
   * @param title what is drawn
   * @param text the lines
   */
  public record Picture(String title, String text) {}
}
