// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.machine.YieldPoints;

/** pfns, pages and addresses; what a device and its altmap say of theirs; the counters. */
class MemoryModelTest {
  private final Mm mm = TestMm.debian();
  private final MemoryModel model = mm.model();

  /** pfn 3 in its three forms. Expect each to lead to the others. */
  @Test
  void model_onePage_roundTrips() {
    Page page = model.pfnToPage(3);

    assertEquals(TestMm.MEMMAP, model.vmemmapBase());
    assertEquals(TestMm.MEMMAP + 192, page.va());
    assertEquals(3, model.pageToPfn(page));
    assertEquals(TestMm.LINEAR + 0x3000, model.pageAddress(page));
    assertEquals(page, model.virtToPage(TestMm.LINEAR + 0x3fff));
    assertEquals(4096, model.pageSize());
    assertEquals(12, model.pageShift());
    assertEquals("page@0x" + Long.toHexString(page.va()), page.toString());
    assertEquals(page.va(), new Folio(page).va());
  }

  /** The last page of addresses, of which 4095 are error codes. Expect its first to be none. */
  @Test
  void isErr_borders_areTheKernels() {
    assertTrue(new Page(-4095).isErr());
    assertTrue(new Page(-1).isErr());
    assertFalse(new Page(-4096).isErr());
    assertFalse(new Page(0).isErr());
  }

  /** An altmap of 100 pages behind 10 reserved ones. Expect the device's data behind both. */
  @Test
  void vmemAltmap_offsetAndFree_areTheKernels() {
    VmemAltmap altmap = new VmemAltmap();
    altmap.reserve = 10;
    altmap.free = 100;
    altmap.alloc = 7;

    assertEquals(110, VmemAltmap.vmemAltmapOffset(altmap));
    assertEquals(0, VmemAltmap.vmemAltmapOffset(null));
    altmap.vmemAltmapFree(mm, 3);
    assertEquals(4, altmap.alloc);
  }

  /** A device of 2 MiB pages. Expect its altmap only when it is valid. */
  @Test
  void devPagemap_device_answers() {
    DevPagemap pgmap = new DevPagemap(0x1234);
    pgmap.vmemmapShift = 9;

    assertEquals(0x1234, pgmap.va());
    assertEquals(512, pgmap.vmemmapNr());
    assertNull(pgmap.pgmapAltmap());
    pgmap.altmapValid = true;
    assertSame(pgmap.altmap, pgmap.pgmapAltmap());
    assertEquals(4, DevPagemap.MemoryType.MEMORY_DEVICE_GENERIC.number());
    assertEquals(0x1000, new DevPagemap.Range(0x1000, 0x1fff).len());
  }

  /** Both counters of /proc/vmstat. Expect each to move by itself. */
  @Test
  void vmstat_bothCounters_areApart() {
    mm.vmstat().memmapPagesAdd(5);
    mm.vmstat().memmapBootPagesAdd(7);
    mm.vmstat().memmapPagesAdd(-2);

    assertEquals(3, mm.vmstat().nrMemmapPages());
    assertEquals(7, mm.vmstat().nrMemmapBootPages());
  }

  /** Migratetypes. Expect the kernel's numbers, both ways. */
  @Test
  void migratetype_numbers_areTheKernels() {
    assertEquals(1, Migratetype.MIGRATE_MOVABLE.number());
    assertEquals(5, Migratetype.MIGRATE_ISOLATE.number());
    for (int n = 0; n < Migratetype.MIGRATE_TYPES; n++) {
      assertEquals(n, Migratetype.of(n).number());
    }
  }

  /** Who wants tails shared: HugeTLB, or device memory by the series. Expect one to be enough. */
  @Test
  void vmemmapOptimization_bySeries_needsOneUser() {
    MmConfig neither = MmConfig.debianX86().withHugetlbOptimizeVmemmap(false);

    assertTrue(MmConfig.debianX86().vmemmapOptimization());
    assertFalse(neither.withSeries(Series.at(0)).vmemmapOptimization());
    assertFalse(neither.withSeries(Series.at(32)).vmemmapOptimization());
    assertEquals(
        neither.archWantOptimizeDaxVmemmap(),
        neither.withSeries(Series.at(33)).vmemmapOptimization());
  }

  /** Frames change hands. Expect a listener to hear of it, so that no stale walk stays unseen. */
  @Test
  void own_frames_areReported() {
    List<Long> moved = new ArrayList<>();
    mm.machine()
        .yields()
        .listen(
            new YieldPoints.Listener() {
              @Override
              public void reached(String what, long where) {}

              @Override
              public void moved(long frame, long n) {
                moved.add(frame);
                moved.add(n);
              }
            });

    mm.own(5, 2, Owner.DEVICE);

    assertEquals(List.of(5L, 2L), moved);
    assertEquals(Owner.DEVICE, mm.machine().ledger().ownerOf(6));
  }
}
