// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.lab.boot.DaxOption;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;

/**
 * The types of pageblocks, each made wrong by hand.
 *
 * <pre>
 *   0     128M    1G       1G + 128M    2G                       2G + 256M
 *   | RAM |       | device |            | memmap | rest   | offline |
 *                                         module of two blocks, one in ZONE_MOVABLE
 * </pre>
 */
class PageblockRulesTest {
  private static final long MIB = 1L << 20;
  private static final long MODULE = 2048 * MIB;
  private static final long BLOCK = 128 * MIB;

  private final LabKernel kernel = boot();
  private final Mm mm = kernel.mm();

  private static LabKernel boot() {
    DaxOption device = new DaxOption(128 * MIB, 2 * MIB, false, false, 0);
    MachineSpec spec =
        MachineSpecs.ofSize(
                128 * MIB, 1, List.of(device), 4, List.of("memory_hotplug.memmap_on_memory=on"))
            .withMemory(
                MemoryRanges.Kind.DEVICE, List.of(new Ram(MODULE, MODULE + 2 * BLOCK, 0)));
    LabKernel kernel = LabKernel.boot(spec, Placement.NONE);
    long start = spec.softReserved().getFirst().start();
    assertEquals(
        0,
        kernel.dax().bind(
            "dax0.0", DaxBus.Source.HMEM, start, 128 * MIB, 2 * MIB, DaxBus.MapTo.MEM));
    assertEquals(0, kernel.hotplugDrivers().plugDimm(MODULE, 2 * BLOCK, 0));
    assertEquals(0, state(kernel, 0, "online_movable"));
    return kernel;
  }

  private static int state(LabKernel kernel, int block, String state) {
    long number = MODULE / BLOCK + block;
    return kernel.write("/sys/devices/system/memory/memory" + number + "/state", state);
  }

  private void type(long pfn, Migratetype type, boolean isolate) {
    kernel.pageAlloc().initPageblockMigratetype(mm.model().pfnToPage(pfn), type, isolate);
  }

  private List<String> broken() {
    return Invariants.check(kernel).violations().stream()
        .map(Invariants.Violation::toString)
        .toList();
  }

  private static String wrong(long pfn, String what) {
    return "pageblock-type pfn=0x%x begins a pageblock %s".formatted(pfn, what);
  }

  /**
   * One of two blocks of the module goes online, offline, and online again. Expect the rule to hold
   * each time, and to have looked at all pageblocks of RAM, the device, and the block.
   */
  @Test
  void check_memoryComesAndGoes_holds() {
    assertEquals(List.of(), broken());
    long checks = Invariants.check(kernel).checks().getOrDefault(PageblockRules.TYPE, 0L);
    assertTrue(checks >= 3 * 64 - 1, checks + " checks");
    assertEquals(0, state(kernel, 0, "offline"));
    assertEquals(List.of(), broken());
    assertEquals(0, state(kernel, 0, "online_movable"));
    assertEquals(List.of(), broken());
  }

  /** A pageblock of a device keeps type 0, and one is isolated. Expect both. */
  @Test
  void check_deviceNotMovable_isFound() {
    long pfn = kernel.dax().bound().getFirst().dataPfn() + 512;
    type(pfn, Migratetype.MIGRATE_UNMOVABLE, false);
    type(pfn + 512, Migratetype.MIGRATE_MOVABLE, true);
    assertEquals(
        List.of(
            wrong(pfn, "of a device that is MIGRATE_UNMOVABLE"),
            wrong(pfn + 512, "of a device that is MIGRATE_ISOLATE")),
        broken());
  }

  /** Pages of the kernel image, where nothing is free: CMA without an area, then isolated. */
  @Test
  void check_ramOfBootCmaOrIsolated_isFound() {
    long pfn = (32 * MIB) >>> 12;
    type(pfn, Migratetype.MIGRATE_CMA, false);
    assertEquals(List.of(wrong(pfn, "outside of all CMA areas that is MIGRATE_CMA")), broken());
    type(pfn, Migratetype.MIGRATE_MOVABLE, true);
    assertEquals(List.of(wrong(pfn, "at rest that is MIGRATE_ISOLATE")), broken());
    type(pfn, Migratetype.MIGRATE_UNMOVABLE, false);
    assertEquals(List.of(), broken());
  }

  /** The block's own memmap counts as movable, and the pageblock behind it does not. Expect both. */
  @Test
  void check_blockWithItsMemmap_typesAreSwapped_isFound() {
    long pfn = MODULE >>> 12;
    type(pfn, Migratetype.MIGRATE_MOVABLE, false);
    assertEquals(
        List.of(wrong(pfn, "with the memmap of its own memory block that is MIGRATE_MOVABLE")),
        broken());
    type(pfn, Migratetype.MIGRATE_UNMOVABLE, false);
    type(pfn + 512, Migratetype.MIGRATE_RECLAIMABLE, false);
    assertTrue(
        broken().contains(wrong(pfn + 512, "in ZONE_MOVABLE that is MIGRATE_RECLAIMABLE")),
        () -> broken().toString());
  }

  /** A pageblock of ZONE_DMA32 changes its type while its pages are free. Expect the free block. */
  @Test
  void check_freeBlockOnAnotherList_isFound() {
    long pfn = (64 * MIB) >>> 12;
    while (mm.machine().ledger().ownerOf(pfn) != Owner.BUDDY) {
      pfn += 512;
    }
    String listed =
        kernel.pageAlloc().getPfnblockMigratetype(mm.model().pfnToPage(pfn), pfn).name();
    type(pfn, Migratetype.MIGRATE_RECLAIMABLE, false);
    assertEquals(
        List.of(
            "pageblock-type pfn=0x%x is free as %s, in a pageblock that is MIGRATE_RECLAIMABLE"
                .formatted(pfn, listed)),
        broken());
  }
}
