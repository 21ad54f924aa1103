// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import java.util.HashMap;
import java.util.Map;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.sparse.MemoryBlock;
import org.vmemmap.sparse.MemoryBlocks;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * Pages that exist, by node and zone, and their end; memory blocks, and pageblocks that somebody
 * isolates.
 *
 * <pre>
 *   node_present_pages  =  sum of  present_pages  =  present_early_pages  +  online pages added later
 * </pre>
 */
final class PresentRules {
  static final String PRESENT = "present-pages";
  static final String BLOCKS = "memory-block-references";
  static final String ISOLATED = "isolated-pageblocks";
  static final String SPAN = "node-span";
  static final String MAX_PFN = "max-pfn";

  private final LabKernel kernel;
  private final Mm mm;
  private final Invariants found;

  PresentRules(LabKernel kernel, Invariants found) {
    this.kernel = kernel;
    this.mm = kernel.mm();
    this.found = found;
  }

  void check() {
    blocks();
    Map<Zone, Long> late = late();
    for (PgData node : mm.nodes().online()) {
      long present = 0;
      for (Zone zone : node.zones()) {
        present += zone.presentPages;
        end(zone);
        found.equal(
            PRESENT,
            () -> "present pages of zone %s that boot did not find, against online ones,".formatted(zone),
            zone.presentPages - zone.presentEarlyPages,
            late.getOrDefault(zone, 0L));
        if (zone.initialized) {
          found.equal(
              ISOLATED,
              () -> "nr_isolate_pageblock of zone %s at rest".formatted(zone),
              kernel.pageAlloc().nrIsolatePageblock(zone),
              0);
        }
      }
      found.equal(
          PRESENT,
          () -> "node_present_pages of node %d, against its zones,".formatted(node.nodeId()),
          node.nodePresentPages,
          present);
      span(node);
    }
  }

  /** The memory of devices lies behind max_pfn where the architecture does not let it count. */
  private void end(Zone zone) {
    if (zone.idx() != ZoneType.ZONE_DEVICE && zone.spannedPages != 0) {
      found.checked(MAX_PFN, 1);
      if (zone.endPfn() > kernel.maxPfn()) {
        found.violated(
            MAX_PFN,
            "pfn",
            kernel.maxPfn(),
            "is max_pfn, and zone %s ends at 0x%x".formatted(zone, zone.endPfn()));
      }
    }
  }

  /** From the first pfn that a zone of the node spans to behind the last. */
  private void span(PgData node) {
    long start = Long.MAX_VALUE;
    long end = 0;
    for (Zone zone : node.zones()) {
      if (zone.spannedPages != 0) {
        start = Math.min(start, zone.zoneStartPfn);
        end = Math.max(end, zone.endPfn());
      }
    }
    int nid = node.nodeId();
    found.equal(
        SPAN,
        () -> "node_spanned_pages of node %d, against its zones,".formatted(nid),
        node.nodeSpannedPages,
        end == 0 ? 0 : end - start);
    if (end != 0) {
      found.equal(
          SPAN,
          () -> "node_start_pfn of node %d, against its zones,".formatted(nid),
          node.nodeStartPfn,
          start);
    }
  }

  /** Who looks a block up gives it back; who removes one gives its last reference back, too. */
  private void blocks() {
    MemoryBlocks blocks = kernel.hotplug().blocks();
    for (MemoryBlock block : blocks.all()) {
      found.checked(BLOCKS, 1);
      if (block.refs() != 1) {
        found.violated(
            BLOCKS,
            "pfn",
            mm.mmzone().sectionNrToPfn(block.startSectionNr()),
            "is the first of a memory block with " + block.refs() + " references");
      }
    }
    found.equal(
        BLOCKS, "memory blocks that were not released, against those that are there,",
        blocks.unreleased(), blocks.all().size());
  }

  /** Online pages of sections that boot did not find, by the zone that they name. */
  private Map<Zone, Long> late() {
    Map<Zone, Long> late = new HashMap<>();
    PageRanges.forEach(
        kernel,
        (start, end, node) -> {
          boolean online =
              node < 0
                  && mm.mmzone().pfnOnline(start)
                  && !mm.mmzone().onlineDeviceSection(mm.mmzone().pfnToSection(start));
          if (online) {
            late.merge(mm.inline().pageZone(mm.model().pfnToPage(start)), end - start, Long::sum);
          }
        });
    return late;
  }
}
