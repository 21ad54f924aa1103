// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import org.vmemmap.pagealloc.Cma;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Printk;
import org.vmemmap.types.Zone;

/** Files below /proc in the kernel's own format, those lines that the model has numbers for. */
final class ProcFs {
  private ProcFs() {}

  /** /proc/vmstat: free pages and the memmap counters, in base pages; CMA allocations. */
  static String vmstat(Mm mm, long freePages, long freeCmaPages, Cma cma) {
    return """
        nr_free_pages %d
        nr_free_cma %d
        nr_memmap_pages %d
        nr_memmap_boot_pages %d
        cma_alloc_success %d
        cma_alloc_fail %d"""
        .formatted(
            freePages,
            freeCmaPages,
            mm.vmstat().nrMemmapPages(),
            mm.vmstat().nrMemmapBootPages(),
            cma.allocSuccess(),
            cma.allocFail());
  }

  /** /proc/zoneinfo: free, span, present, managed and CMA pages of every zone. */
  static String zoneinfo(Mm mm, PageAlloc pageAlloc) {
    StringBuilder text = new StringBuilder();
    for (PgData node : mm.nodes().online()) {
      for (Zone zone : node.zones()) {
        text.append("Node %d, zone %8s\n".formatted(node.nodeId(), zone.name()));
        text.append("  pages free     %d\n".formatted(pageAlloc.nrFreePages(zone)));
        text.append("        spanned  %d\n".formatted(zone.spannedPages));
        text.append("        present  %d\n".formatted(zone.presentPages));
        text.append("        managed  %d\n".formatted(zone.managedPages));
        text.append("        cma      %d\n".formatted(zone.cmaPages));
        if (zone.populated()) {
          text.append("      nr_free_cma  %d\n".formatted(pageAlloc.nrFreeCmaPages(zone)));
          text.append("  start_pfn:           %d\n".formatted(zone.zoneStartPfn));
        }
      }
    }
    return text.toString().stripTrailing();
  }

  /** The first lines of /proc/meminfo, in kB. */
  static String meminfo(long pageSize, long managed, long free) {
    return "MemTotal:       %8d kB\nMemFree:        %8d kB\n"
        .formatted(managed * pageSize / 1024, free * pageSize / 1024);
  }

  /** The lines of /proc/meminfo about CMA, in kB. */
  static String meminfoCma(long pageSize, long total, long free) {
    return "CmaTotal:       %8d kB\nCmaFree:        %8d kB\n"
        .formatted(total * pageSize / 1024, free * pageSize / 1024);
  }

  /** The numbers of all nodes, runs as first-last. */
  static String onlineNodes(Mm mm) {
    StringBuilder text = new StringBuilder();
    int first = -1;
    int last = -2;
    for (PgData node : mm.nodes().online()) {
      if (node.nodeId() != last + 1) {
        text.append(run(first, last)).append(text.isEmpty() ? "" : ",");
        first = node.nodeId();
      }
      last = node.nodeId();
    }
    return text.append(run(first, last)).toString();
  }

  private static String run(int first, int last) {
    return first < 0 ? "" : first == last ? Integer.toString(first) : first + "-" + last;
  }

  /** The kernel log, one line for each message. */
  static String dmesg(Printk printk) {
    StringBuilder text = new StringBuilder();
    for (Printk.Line line : printk.lines()) {
      text.append(line.text()).append('\n');
    }
    return text.toString().stripTrailing();
  }
}
