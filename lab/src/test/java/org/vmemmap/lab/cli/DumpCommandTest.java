// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** {@code vmemmap dump} on a machine with 256 MiB, eight optimised hugepages and a device. */
class DumpCommandTest {
  private static Run dump(String... what) {
    String[] machine = {
      "--mem",
      "256M",
      "--nodes",
      "1",
      "--dax",
      "size=128M",
      "--cmdline",
      "hugetlb_free_vmemmap=on hugepages=8"
    };
    String[] args = new String[1 + what.length + machine.length];
    args[0] = "dump";
    System.arraycopy(what, 0, args, 1, what.length);
    System.arraycopy(machine, 0, args, 1 + what.length, machine.length);
    return Run.of(args);
  }

  /** The page tables of the whole memmap, groups that repeat as one line. */
  @Test
  void dump_pagetable_collapsesEqualRuns() {
    // Expect hugepages as pairs of an own frame and a shared tail, and one repeated group.
    assertEquals(Run.text("reports/dump-pagetable.txt"), dump("pagetable").out());
  }

  /** A struct page of the kernel image: reserved, order 0. */
  @Test
  void dump_page_decodesTheFields() {
    // Expect fields by name, flags in words.
    assertEquals(Run.text("reports/dump-page.txt"), dump("page", "0x1000").out());
  }

  /** Counters and zones are those of /proc. */
  @Test
  void dump_vmstatAndZones_areTheFilesOfProc() {
    // Expect the memmap counters, and the span of ZONE_DMA.
    assertTrue(dump("vmstat").out().contains("nr_memmap_boot_pages "));
    String zones = dump("zones").out();
    assertTrue(zones.startsWith("Node 0, zone      DMA\n"), zones);
    assertTrue(zones.contains("        spanned  4095\n        present  3998\n"), zones);
  }

  /** Sections are listed alone, and pages are counted by their flags. */
  @Test
  void dump_sectionsAndKpageflags_areTables() {
    // Expect the boot sections, and the head pages of eight hugepages.
    assertTrue(dump("sections").out().contains("0-1       0x0-0xfffffff"), dump("sections").out());
    String flags = dump("kpageflags").out();
    assertTrue(flags.contains("0x0000000000028000           8    0  compound_head,huge"), flags);
    assertTrue(flags.contains("0x0000000000030000        4088   15  compound_tail,huge"), flags);
  }
}
