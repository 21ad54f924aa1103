// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import java.util.Map;
import org.vmemmap.dax.DevDax;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.sparse.HotplugSystem;
import org.vmemmap.sparse.MemoryBlock;
import org.vmemmap.types.MemSectionUsage;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Owner;

/**
 * Small objects: of what comes and goes with memory and devices there are as many as there are
 * structures that hold one. One more is lost, one less is used after it was freed.
 */
final class SlabRules {
  static final String HELD = "small-object-held";

  private final LabKernel kernel;
  private final Invariants found;
  private final Map<String, Long> objects;

  SlabRules(LabKernel kernel, Invariants found) {
    this.kernel = kernel;
    this.found = found;
    this.objects = kernel.slab().objectsBySite();
  }

  void check() {
    held("section_activate", "sections", usages());
    HotplugSystem hotplug = kernel.hotplug();
    held(
        "add_memory_block",
        "memory blocks",
        hotplug.blocks().all().stream().filter(block -> block.va() != 0).count());
    held(
        "create_altmaps_and_memory_blocks",
        "memory blocks that host their memmap",
        hotplug.blocks().all().stream().map(MemoryBlock::altmap).filter(a -> a != null).count());
    held("memory_group_register", "memory groups", hotplug.groups().count());
    held("register_node", "nodes that came after boot", hotplug.nodes().made());
    held("alloc_dax", "DAX devices", kernel.dax().bus().devices().size());
    held(
        "kmemdup",
        "DAX devices with a pgmap of their own",
        kernel.dax().bus().devices().stream().filter(DevDax::hasOwnPgmap).count());
  }

  private void held(String site, String holders, long count) {
    found.equal(
        HELD,
        () -> "objects of " + site + "(), against " + holders + " that hold one,",
        objects.getOrDefault(site, 0L),
        count);
  }

  /** Sections whose usage record does not lie in memory of boot. */
  private long usages() {
    Mmzone mmzone = kernel.mm().mmzone();
    long usages = 0;
    for (long nr = mmzone.nextPresentSectionNr(-1); nr >= 0; nr = mmzone.nextPresentSectionNr(nr)) {
      MemSectionUsage usage = mmzone.section(nr).usage;
      usages += usage != null && ofSlab(usage.va()) ? 1 : 0;
    }
    return usages;
  }

  private boolean ofSlab(long va) {
    long pfn = kernel.mm().model().pa(va) >>> kernel.mm().model().pageShift();
    return kernel.mm().machine().ledger().ownerOf(pfn) == Owner.SLAB;
  }
}
