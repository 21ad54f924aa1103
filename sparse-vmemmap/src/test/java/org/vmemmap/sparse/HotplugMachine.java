// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Resource;
import org.vmemmap.types.Zone;

/**
 * {@link SmallMachine} with memory hotplug: 384 MiB of boot memory, room for more from 1 GiB on, in
 * blocks of one section.
 */
final class HotplugMachine {
  static final long BLOCK = 128 * SmallMachine.MIB;

  /** Where memory is added, in bytes and pfns. */
  static final long START = SmallMachine.GIB;

  static final long PFN = SmallMachine.DEVICE_PFN;
  static final long FIRST_BLOCK = START / BLOCK;

  final SmallMachine m;
  final IomemResource iomem;
  final HotplugSystem h;

  HotplugMachine() {
    m = SmallMachine.small().boot();
    m.pageAlloc.setupPerCpuPageset();
    m.pageAlloc.initPerZoneWmarkMin();
    iomem = new IomemResource(m.mm);
    Resource ram =
        new Resource(
            0,
            384 * SmallMachine.MIB - 1,
            "System RAM",
            Resource.IORESOURCE_SYSTEM_RAM | Resource.IORESOURCE_BUSY,
            Resource.IORES_DESC_NONE);
    assertEquals(0, iomem.insertResource(iomem.iomemResource(), ram));
    m.hotplug.setArch(m.arch);
    h =
        new HotplugSystem(
            m.mm, m.memblock, m.pageAlloc, m.slab, m.vmemmap, m.mmInit, m.hotplug, iomem, BLOCK);
    h.driverInit();
  }

  /** With self-hosted memmap. */
  HotplugMachine selfHosted() {
    assertEquals(0, h.params().setMemmapMode("Y"));
    return this;
  }

  int add(long block, long count, int flags) {
    return h.add().addMemory(0, START + block * BLOCK, count * BLOCK, flags);
  }

  int remove(long block, long count) {
    return h.add().removeMemory(START + block * BLOCK, count * BLOCK);
  }

  String file(long block) {
    return "/sys/devices/system/memory/memory" + (FIRST_BLOCK + block) + "/";
  }

  int write(long block, String state) {
    return h.sysfs().write(file(block) + "state", state);
  }

  String state(long block) {
    return String.valueOf(h.sysfs().read(file(block) + "state"));
  }

  /** All that must be the same when a step was undone: counters, spans, frames, slabs, tree. */
  record Books(
      Map<Owner, Long> owners,
      long memmapPages,
      List<String> zones,
      String iomem,
      List<Long> blocks,
      int altmaps,
      List<String> sections) {}

  Books books() {
    Map<Owner, Long> owners = new EnumMap<>(Owner.class);
    for (Owner owner : Owner.values()) {
      owners.put(owner, m.owned(owner));
    }
    // A page table that is made for a smaller leaf stays when the leaf goes; it comes from the buddy.
    owners.merge(Owner.BUDDY, m.owned(Owner.PAGE_TABLE), Long::sum);
    owners.remove(Owner.PAGE_TABLE);
    List<String> zones = new ArrayList<>();
    for (PgData node : m.mm.nodes().online()) {
      zones.add(node.nodeId() + " " + node.nodePresentPages + " " + node.nodeSpannedPages);
      for (Zone zone : node.zones()) {
        zones.add(
            "%s %d+%d present %d managed %d isolated %d"
                .formatted(
                    zone,
                    zone.zoneStartPfn,
                    zone.spannedPages,
                    zone.presentPages,
                    zone.managedPages,
                    zone.initialized ? m.pageAlloc.nrIsolatePageblock(zone) : 0));
      }
    }
    List<String> sections = new ArrayList<>();
    for (long nr = 0; nr < 32; nr++) {
      var ms = m.mm.mmzone().nrToSection(nr);
      sections.add(ms == null ? "-" : nr + " " + Long.toHexString(ms.sectionMemMap));
    }
    return new Books(
        owners,
        m.mm.vmstat().nrMemmapPages(),
        zones,
        iomem.show(),
        h.blocks().blockIds(),
        h.add().altmapsInUse(),
        sections);
  }

  /** Frees what the page allocator keeps at hand, so that two states can be compared. */
  void drain() {
    m.pageAlloc.drainAllPages(null);
  }

  Page page(long pfn) {
    return m.mm.model().pfnToPage(pfn);
  }

  void assertQuiet() {
    assertEquals(List.of(), m.warnings());
    assertFalse(h.locks().held());
    assertEquals(0, m.mm.rcu().waiting());
  }
}
