// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.dax.DaxBus.MapTo.DEV;
import static org.vmemmap.dax.DaxBus.MapTo.MEM;
import static org.vmemmap.dax.DaxBus.Source.HMEM;
import static org.vmemmap.dax.DaxBus.Source.PMEM;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.vmemmap.dax.DaxBus.Altmap;
import org.vmemmap.dax.DaxBus.Bound;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Owner;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;

/** What an administrator does with device memory, on a booted machine. */
class DaxBusTest {
  private static final long KIB = 1L << 10;
  private static final long MIB = 1L << 20;
  private static final long GIB = 1L << 30;
  private static final long PAGE = 4096;
  private static final String DAX = "dax0.0";

  private static DaxMachine softReserved(long start, long size) {
    DaxMachine m = new DaxMachine().boot().withSoftReserved(start, size);
    assertEquals(0, m.dax.registerHmem());
    return m;
  }

  private static DaxMachine pmem(long start, long size) {
    DaxMachine m = new DaxMachine().boot().withPmem(start, size);
    assertEquals(0, m.dax.registerPmem());
    return m;
  }

  /**
   * A device of one 2 MiB page.
   *
   * <pre>
   *   memmap page   0       1 .. 7
   *                 own     one shared frame
   * </pre>
   *
   * Expect head, first tail and shared tail as a captured kernel shows them, two frames of memmap,
   * and the device's frames booked.
   */
  @Test
  void bind_hmem2M_compoundPages() {
    DaxMachine m = softReserved(GIB, 512 * MIB);

    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, 2 * MIB, 2 * MIB, MEM));

    long va = m.pgmap(DAX).va();
    assertEquals(va, m.word(GIB, 1));
    assertEquals(1, m.refcount(GIB));
    assertEquals(512, m.second(GIB, StructPage.NR_PAGES));
    assertEquals(-1L << 15 | 1, m.word(GIB + PAGE, 1));
    assertEquals(m.mm.flags().tailMapping(), m.word(GIB + 511 * PAGE, 3));
    assertEquals(0, m.refcount(GIB + 511 * PAGE));
    assertEquals(2, m.mm.vmstat().nrMemmapPages());
    assertEquals(512, m.owned(Owner.DEVICE));
    assertEquals(1, m.subsections(GIB));
    assertTrue(m.warnings().isEmpty());
  }

  /** Bound, unbound, and again larger. Expect nothing left over in between. */
  @Test
  void unbind_hmem_everythingBack() {
    DaxMachine m = softReserved(GIB, 512 * MIB);
    Map<String, Long> before = m.frames();

    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, 6 * MIB, 2 * MIB, MEM));
    assertEquals(0, m.dax.unbind(DAX));

    assertEquals(before, m.frames());
    assertEquals(0, m.mm.vmstat().nrMemmapPages());
    assertEquals(0, m.subsections(GIB));
    assertNull(m.dax.bound(DAX));
    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, 256 * MIB, 2 * MIB, MEM));
    assertEquals(256, m.mm.vmstat().nrMemmapPages());
    assertTrue(m.warnings().isEmpty());
  }

  /** Pages of 4 KiB. Expect every struct page with the device and one reference, none shared. */
  @Test
  void bind_hmem4K_singlePages() {
    DaxMachine m = softReserved(GIB, 512 * MIB);

    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, 4 * MIB, 4 * KIB, MEM));

    long va = m.pgmap(DAX).va();
    assertEquals(va, m.word(GIB, 1));
    assertEquals(va, m.word(GIB + 1023 * PAGE, 1));
    assertEquals(1, m.refcount(GIB + 1023 * PAGE));
    assertEquals(16, m.mm.vmstat().nrMemmapPages());
  }

  /** A page of 1 GiB. Expect two frames of memmap for all of it. */
  @Test
  void bind_hmem1G_twoFrames() {
    DaxMachine m = softReserved(GIB, GIB);
    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, GIB, GIB, MEM));
    assertEquals(2, m.mm.vmstat().nrMemmapPages());
    assertEquals(1 << 18, m.second(GIB, StructPage.NR_PAGES));
    assertEquals(0, m.dax.unbind(DAX));
    assertEquals(0, m.mm.vmstat().nrMemmapPages());
  }

  /**
   * The firmware padding behind RAM is busy.
   *
   * <pre>
   *   | RAM | RAM buffer   |
   *         | dax0.0 |
   * </pre>
   *
   * Expect -EBUSY, then -EINVAL because the pgmap of the first attempt is still there; -ENODEV for
   * unbind.
   */
  @Test
  void bind_rangeBusy_busyThenInvalid() {
    DaxMachine m = softReserved(GIB, 512 * MIB);
    m.occupy(GIB + MIB);

    assertEquals(-Errno.EBUSY, m.dax.bind(DAX, HMEM, GIB, 2 * MIB, 2 * MIB, MEM));
    assertEquals(-Errno.EINVAL, m.dax.bind(DAX, HMEM, GIB, 2 * MIB, 2 * MIB, MEM));
    assertEquals(-Errno.ENODEV, m.dax.unbind(DAX));

    assertEquals(0, m.owned(Owner.DEVICE));
    assertTrue(m.log().contains("dax0.0: mapping0: 0x40000000-0x401fffff could not reserve range"));
    assertTrue(m.log().contains("dax0.0: dynamic-dax with pre-populated page map"));
  }

  /** Bound twice; unbound twice; a device that is not there. Expect -EBUSY, -ENODEV, -ENODEV. */
  @Test
  void bind_twice_busy() {
    DaxMachine m = softReserved(GIB, 512 * MIB);
    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, 2 * MIB, 2 * MIB, MEM));
    assertEquals(-Errno.EBUSY, m.dax.bind(DAX, HMEM, GIB, 2 * MIB, 2 * MIB, MEM));
    assertEquals(0, m.dax.unbind(DAX));
    assertEquals(-Errno.ENODEV, m.dax.unbind(DAX));
    assertEquals(-Errno.ENODEV, m.dax.bind("dax7.0", HMEM, 5 * GIB, MIB, PAGE, MEM));
    assertEquals(-Errno.ENODEV, m.dax.bind("dax7.0", PMEM, 5 * GIB, MIB, PAGE, MEM));
  }

  /** Sizes and page sizes that cannot be. Expect -EINVAL, -ENOSPC, and nothing bound. */
  @Test
  void bind_badSizes_refused() {
    DaxMachine m = softReserved(GIB, 512 * MIB);
    assertEquals(-Errno.EINVAL, m.dax.bind(DAX, HMEM, GIB, 3 * MIB, 2 * MIB, MEM));
    assertEquals(-Errno.EINVAL, m.dax.bind(DAX, HMEM, GIB, 2 * MIB, 16 * MIB, MEM));
    assertEquals(-Errno.EINVAL, m.dax.bind(DAX, HMEM, GIB, 512 * MIB, GIB, MEM));
    assertEquals(-Errno.ENOSPC, m.dax.bind(DAX, HMEM, GIB, GIB, 2 * MIB, MEM));
    assertEquals(-Errno.ENXIO, m.dax.bind(DAX, HMEM, GIB, 0, 2 * MIB, MEM));
    assertEquals(List.of(), m.dax.bound());
  }

  /**
   * Two devices of one region in one section.
   *
   * <pre>
   *   1G          +2M         +6M
   *   | dax0.0    | dax0.1    |  free
   * </pre>
   *
   * Expect both with their own pgmap, and the section gone only with the second.
   */
  @Test
  void bind_twoDevicesInSection_independent() {
    DaxMachine m = softReserved(GIB, 512 * MIB);
    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, 2 * MIB, 2 * MIB, MEM));

    assertEquals(0, m.dax.bind("dax0.1", HMEM, GIB + 2 * MIB, 4 * MIB, 4 * KIB, MEM));

    assertNotEquals(m.pgmap(DAX).va(), m.pgmap("dax0.1").va());
    assertEquals(m.pgmap("dax0.1").va(), m.word(GIB + 2 * MIB, 1));
    assertEquals(0b111, m.subsections(GIB));
    assertEquals(0, m.dax.unbind(DAX));
    assertEquals(0b110, m.subsections(GIB));
    assertEquals(m.pgmap("dax0.1").va(), m.word(GIB + 2 * MIB, 1));
    assertEquals(0, m.dax.unbind("dax0.1"));
    assertEquals(0, m.subsections(GIB));
    assertEquals(0, m.mm.vmstat().nrMemmapPages());
    assertTrue(m.warnings().isEmpty());
  }

  /** A device that is to start inside its region. Expect it there. */
  @Test
  void bind_hmemAtOffset_placed() {
    DaxMachine m = softReserved(GIB, 512 * MIB);
    assertEquals(0, m.dax.bind(DAX, HMEM, GIB + 128 * MIB, 128 * MIB, 2 * MIB, MEM));
    Bound bound = Objects.requireNonNull(m.dax.bound(DAX));
    assertEquals((GIB + 128 * MIB) / PAGE, bound.dataPfn());
    assertEquals(128 * MIB / PAGE, bound.dataPages());
    assertEquals(0, m.subsections(GIB));
  }

  /**
   * Persistent memory that holds its own memmap.
   *
   * <pre>
   *   1G       +2M                  +8M      1G+384M
   *   | block  | memmap, 3 leaves   | data   |
   *   reserve 2, free 2046
   * </pre>
   *
   * Expect leaves from the device, its frames booked as altmap, no frame of RAM used, and the
   * struct pages of the reserve never written.
   */
  @Test
  void bind_pmemMapDev_memmapInDevice() {
    DaxMachine m = pmem(GIB, 384 * MIB);
    long boot = m.owned(Owner.VMEMMAP);

    assertEquals(0, m.dax.bind(DAX, PMEM, GIB, 0, 2 * MIB, DEV));

    Bound bound = Objects.requireNonNull(m.dax.bound(DAX));
    assertEquals((GIB + 8 * MIB) / PAGE, bound.dataPfn());
    assertEquals(2, bound.pgmap().altmap.reserve);
    assertEquals(8 * MIB / PAGE - 2, bound.pgmap().altmap.free);
    assertEquals(3 * 512, bound.pgmap().altmap.alloc);
    assertEquals(510, bound.pgmap().altmap.align);
    assertEquals(3 * 512, m.owned(Owner.ALTMAP));
    assertEquals(384 * MIB / PAGE - 3 * 512, m.owned(Owner.DEVICE));
    assertEquals(boot, m.owned(Owner.VMEMMAP));
    assertEquals(bound.pgmap().va(), m.word(GIB + 8 * MIB, 1));
    assertEquals(PageFlags.PAGE_POISON_PATTERN, m.word(GIB, 0));
    assertEquals(m.page(GIB + 2 * PAGE).va() + 8, m.word(GIB + 2 * PAGE, 1));

    assertEquals(0, m.dax.unbind(DAX));
    assertEquals(0, m.owned(Owner.ALTMAP));
    assertEquals(0, m.owned(Owner.DEVICE));
    assertTrue(m.warnings().isEmpty());
  }

  /** The info block of that device. Expect its bytes in the device's memory, at 4 KiB. */
  @Test
  void bind_pmem_infoBlockWritten() {
    DaxMachine m = pmem(GIB, 384 * MIB);
    assertEquals(0, m.dax.bind(DAX, PMEM, GIB, 0, 2 * MIB, MEM));

    NdPfnSb block = Objects.requireNonNull(m.dax.infoBlock(DAX));
    assertEquals(2 * MIB, block.dataoff());
    assertEquals(block.words()[0], m.machine.memory().getLong(GIB + PAGE));
    assertEquals('N', m.machine.memory().getByte(GIB + PAGE));
    assertEquals(
        """
        40000000-57ffffff : Persistent Memory (legacy)
          40000000-401fffff : namespace0.0
          40200000-57ffffff : dax0.0""",
        m.iomem.show().substring(m.iomem.show().indexOf("400")));
  }

  /** The same namespace with other settings each time. Expect the old device gone before. */
  @Test
  void bind_pmemAgain_reconfigured() {
    DaxMachine m = pmem(GIB, 384 * MIB);
    assertEquals(0, m.dax.bind(DAX, PMEM, GIB, 0, 2 * MIB, DEV));
    assertEquals(-Errno.EBUSY, m.dax.bind(DAX, PMEM, GIB, 0, 4 * KIB, MEM));
    assertEquals(0, m.dax.unbind(DAX));

    assertEquals(0, m.dax.bind(DAX, PMEM, GIB, 0, 4 * KIB, MEM));

    assertEquals(0, m.pgmap(DAX).vmemmapShift);
    assertEquals(3 * 512, m.mm.vmstat().nrMemmapPages());
    assertEquals(1, m.dax.bus().regions().size());
    assertTrue(m.warnings().isEmpty());
  }

  /** Somebody uses the first bytes, or the data, of a namespace. Expect -EBUSY, and all undone. */
  @Test
  void bind_pmemBusy_undone() {
    DaxMachine m = pmem(GIB, 384 * MIB);
    m.occupy(GIB + MIB);
    assertEquals(-Errno.EBUSY, m.dax.bind(DAX, PMEM, GIB, 0, 2 * MIB, MEM));
    assertTrue(m.log().contains("dax0.0: could not reserve metadata"));
    m.iomem.releaseMemRegion(GIB + MIB, PAGE);
    m.occupy(GIB);
    assertEquals(-Errno.EBUSY, m.dax.bind(DAX, PMEM, GIB, 0, 2 * MIB, MEM));
    m.iomem.releaseMemRegion(GIB, PAGE);
    m.occupy(GIB + 4 * MIB);
    assertEquals(-Errno.EBUSY, m.dax.bind(DAX, PMEM, GIB, 0, 2 * MIB, MEM));
    m.iomem.releaseMemRegion(GIB + 4 * MIB, PAGE);

    assertEquals(0, m.dax.bind(DAX, PMEM, GIB, 0, 2 * MIB, MEM));
  }

  /** Settings that the namespace cannot have. Expect the error of the file or of the block. */
  @Test
  void bind_pmemBadAlign_refused() {
    DaxMachine m = pmem(GIB, 384 * MIB);
    assertEquals(-Errno.EINVAL, m.dax.bind(DAX, PMEM, GIB, 0, 16 * MIB, MEM));
    assertEquals(-Errno.ENXIO, m.dax.bind(DAX, PMEM, GIB, 0, GIB, MEM));
    assertEquals(0, m.dax.bind(DAX, PMEM, GIB, 0, 2 * MIB, MEM));
  }

  /** No persistent memory. Expect -EINVAL, as walking nothing gives. */
  @Test
  void registerPmem_none_einval() {
    assertEquals(-Errno.EINVAL, new DaxMachine().dax.registerPmem());
  }

  /** Soft-reserved and persistent memory. Expect numbers from one row. */
  @Test
  void register_both_numbersDiffer() {
    DaxMachine m =
        new DaxMachine().boot().withSoftReserved(GIB, 512 * MIB).withPmem(2 * GIB, GIB);
    assertEquals(0, m.dax.registerHmem());
    assertEquals(0, m.dax.registerPmem());
    assertEquals(0, m.dax.bind("dax1.0", PMEM, 2 * GIB, 0, 2 * MIB, DEV));
    assertEquals(0, m.dax.bind("dax0.0", HMEM, GIB, 2 * MIB, 2 * MIB, MEM));
    assertEquals(
        List.of("dax0.0", "dax1.0"), m.dax.bound().stream().map(Bound::device).sorted().toList());
  }

  /** A soft-reserved range that is no multiple of 2 MiB. Expect no region of it. */
  @Test
  void registerHmem_misaligned_noRegion() {
    DaxMachine m = softReserved(GIB, 3 * MIB);
    assertEquals(List.of(), m.dax.bus().regions());
  }

  // ---- a process maps a device ----

  /**
   * A process writes to the first page of a device of 2 MiB pages.
   *
   * <pre>
   *   page 0: refcount 1 -> 2, mapping set        page 1: mapcounts -1 -> 0
   * </pre>
   *
   * Expect those, and after its end all but the mapping and two marks as before.
   */
  @Test
  void mapDevice_2M_countsOnHead() {
    DaxMachine m = softReserved(GIB, 512 * MIB);
    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, 4 * MIB, 2 * MIB, MEM));

    assertEquals(0, m.dax.mapDevice(DAX));

    assertEquals(2, m.refcount(GIB));
    assertNotEquals(0, m.mapping(GIB));
    assertEquals(0, m.second(GIB, StructPage.ENTIRE_MAPCOUNT));
    assertEquals(0, m.second(GIB, StructPage.LARGE_MAPCOUNT));
    assertEquals(0x80_0000, m.second(GIB, StructPage.NR_PAGES_MAPPED));
    assertEquals(1, m.refcount(GIB + 2 * MIB));

    assertEquals(0, m.dax.unmapDevice(DAX));
    assertEquals(1, m.refcount(GIB));
    assertEquals(-1, m.second(GIB, StructPage.ENTIRE_MAPCOUNT));
    assertEquals(-1, m.second(GIB, StructPage.LARGE_MAPCOUNT));
    assertEquals(0, m.second(GIB, StructPage.NR_PAGES_MAPPED));
    assertEquals(0x54, m.word(GIB, 0) & 0x7f);
  }

  /** The same with 4 KiB pages. Expect the map count in the page itself. */
  @Test
  void mapDevice_4K_countsOnPage() {
    DaxMachine m = softReserved(GIB, 512 * MIB);
    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, 4 * MIB, 4 * KIB, MEM));
    assertEquals(0, m.dax.mapDevice(DAX));
    assertEquals(2, m.refcount(GIB));
    assertEquals(0, m.mapcount(GIB));
    assertEquals(1, m.refcount(GIB + PAGE));
    assertEquals(0, m.dax.unmapDevice(DAX));
    assertEquals(-1, m.mapcount(GIB));
  }

  /** A page of 1 GiB. Expect the fault by a pud. */
  @Test
  void mapDevice_1G_countsOnHead() {
    DaxMachine m = softReserved(GIB, GIB);
    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, GIB, GIB, MEM));
    assertEquals(0, m.dax.mapDevice(DAX));
    assertEquals(0, m.second(GIB, StructPage.ENTIRE_MAPCOUNT));
  }

  /** Unbound while a process has it mapped. Expect the mapping taken away first. */
  @Test
  void unbind_mapped_unmapsFirst() {
    DaxMachine m = softReserved(GIB, 512 * MIB);
    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, 4 * MIB, 2 * MIB, MEM));
    assertEquals(0, m.dax.mapDevice(DAX));
    assertEquals(0, m.dax.unbind(DAX));
    assertEquals(-Errno.ENXIO, m.dax.mapDevice(DAX));
    assertTrue(m.warnings().isEmpty());
  }

  /** A device that is not there. Expect -ENODEV. */
  @Test
  void mapDevice_noDevice_enodev() {
    DaxMachine m = new DaxMachine();
    assertEquals(-Errno.ENODEV, m.dax.mapDevice(DAX));
    assertEquals(-Errno.ENODEV, m.dax.unmapDevice(DAX));
  }

  // ---- plain ranges ----

  /**
   * A range mapped and unmapped again and again. Expect the same address of the pgmap each time.
   */
  @Test
  void memremap_again_samePgmapAddress() {
    DaxMachine m = new DaxMachine().boot();
    assertEquals(0, m.dax.memremap("A", GIB, 128 * MIB, 9, null, 0));
    long va = m.pgmap("A").va();
    assertEquals(-Errno.EBUSY, m.dax.memremap("A", 2 * GIB, 128 * MIB, 9, null, 0));
    assertEquals(0, m.dax.memunmap("A"));
    assertEquals(0, m.dax.memremap("A", GIB, 128 * MIB, 0, null, 0));
    assertEquals(va, m.pgmap("A").va());
    assertEquals(512, m.mm.vmstat().nrMemmapPages());
  }

  /** A range with an altmap behind two reserved pages. Expect the data behind both. */
  @Test
  void memremap_altmap_dataBehind() {
    DaxMachine m = new DaxMachine().boot();
    Altmap altmap = new Altmap(GIB / PAGE, 2, 1024);
    assertEquals(0, m.dax.memremap("A", GIB, 128 * MIB, 0, altmap, 0));
    Bound bound = Objects.requireNonNull(m.dax.bound("A"));
    assertEquals(GIB / PAGE + 1026, bound.dataPfn());
    assertEquals(32768 - 1026, bound.dataPages());
    assertEquals(512, m.owned(Owner.ALTMAP));
    assertEquals(0, m.dax.memunmap("A"));
    assertEquals(0, m.owned(Owner.ALTMAP));
  }

  /** Nothing to unmap. Expect -ENODEV. */
  @Test
  void memunmap_nothing_enodev() {
    DaxMachine m = new DaxMachine();
    assertEquals(-Errno.ENODEV, m.dax.memunmap("A"));
  }

  /**
   * The altmap of a call that failed, of one without, and of nobody. Expect what the call was given.
   */
  @Test
  void lastAltmap_anyCall_isWhatItWasGiven() {
    DaxMachine m = new DaxMachine().boot();
    assertNull(m.dax.lastAltmap("A"));
    assertEquals(0, m.dax.memremap("A", GIB, 128 * MIB, 0, null, 0));
    assertNull(m.dax.lastAltmap("A"));

    // 2 pages are not enough for the 512 of a section.
    assertEquals(
        -Errno.ENOMEM,
        m.dax.memremap("B", 2 * GIB, 128 * MIB, 0, new Altmap(2 * GIB / PAGE, 0, 2), 0));
    assertNull(m.dax.bound("B"));
    assertEquals(2, Objects.requireNonNull(m.dax.lastAltmap("B")).free);
  }

  /** A name that is mapped is used again. Expect -EBUSY and a line that says why. */
  @Test
  void memremap_nameInUse_saysSo() {
    DaxMachine m = new DaxMachine().boot();
    assertEquals(0, m.dax.memremap("A", GIB, 128 * MIB, 0, null, 0));
    assertEquals(-Errno.EBUSY, m.dax.memremap("A", 2 * GIB, 128 * MIB, 0, null, 0));
    assertTrue(m.log().contains("A: a device of this name is mapped"));
  }

  // ---- memory whose driver brings its pgmap ----

  /**
   * A namespace that somebody else laid out.
   *
   * <pre>
   *   2G           +8M                      +128M
   *   | 2 | memmap | data                   |      struct pages for all of it
   * </pre>
   *
   * Expect the data as given, the memmap in the device, -EBUSY while it is bound, and another layout
   * once it is not.
   */
  @Test
  void bindGiven_ownLayout_isKept() {
    DaxMachine m = new DaxMachine().boot();
    long start = 2 * GIB;
    Range mapped = new Range(start, start + 128 * MIB - 1);
    Range data = new Range(start + 8 * MIB, start + 128 * MIB - 1);
    Altmap altmap = new Altmap(start / PAGE, 2, 2046);

    assertEquals(0, m.dax.bindGiven(DAX, data, 2 * MIB, mapped, altmap, 0));
    Bound bound = Objects.requireNonNull(m.dax.bound(DAX));
    assertEquals((start + 8 * MIB) / PAGE, bound.dataPfn());
    assertEquals(120 * MIB / PAGE, bound.dataPages());
    assertEquals(512, m.owned(Owner.ALTMAP));
    assertEquals((start + 128 * MIB) / PAGE - 1, bound.pgmap().altmap.endPfn);
    assertEquals(-Errno.EBUSY, m.dax.bindGiven(DAX, data, 2 * MIB, mapped, altmap, 0));

    assertEquals(0, m.dax.unbind(DAX));
    assertEquals(0, m.owned(Owner.ALTMAP));
    assertEquals(0, m.dax.bindGiven(DAX, mapped, 2 * MIB, mapped, null, 0));
    assertEquals(start / PAGE, Objects.requireNonNull(m.dax.bound(DAX)).dataPfn());
    assertEquals(1, m.dax.bus().regions().size());
    assertTrue(m.warnings().isEmpty());
  }

  /** Memory is short at each step. Expect -ENOMEM, and the number of the region given back. */
  @Test
  void bindGiven_allocationFails_isRefused() {
    DaxMachine m = new DaxMachine().boot();
    Range range = new Range(2 * GIB, 2 * GIB + 128 * MIB - 1);

    for (String site : List.of("memregion_alloc", "alloc_dax_region", "__devm_create_dev_dax")) {
      m.failNth(1, site);
      assertEquals(-Errno.ENOMEM, m.dax.bindGiven(DAX, range, 2 * MIB, range, null, 0), site);
      assertNull(m.dax.bound(DAX));
    }
    assertEquals(0, m.dax.bindGiven(DAX, range, 2 * MIB, range, null, 0));
    assertEquals(DAX, Objects.requireNonNull(m.dax.bound(DAX)).device());
  }

  /** The same, and the struct pages cannot be made. Expect the error of the driver. */
  @Test
  void bindGiven_noStructPages_isRefused() {
    DaxMachine m = new DaxMachine().boot();
    Range range = new Range(2 * GIB, 2 * GIB + 128 * MIB - 1);
    m.machine.faults().failFrom(1, "pfnmap_track"::equals);

    assertTrue(m.dax.bindGiven(DAX, range, 2 * MIB, range, null, 0) < 0);
    assertNull(m.dax.bound(DAX));
    m.machine.faults().disarm();
    assertEquals(0, m.dax.bindGiven(DAX, range, 2 * MIB, range, null, 0));
  }

  /** A range that firmware names as persistent memory. Expect a namespace that can be bound. */
  @Test
  void registerNamespace_ofFirmware_canBeBound() {
    DaxMachine m = new DaxMachine().boot();
    m.failNth(1, "memregion_alloc");
    assertEquals(-Errno.ENXIO, m.dax.registerNamespace(GIB, 384 * MIB, 0));

    assertEquals(0, m.dax.registerNamespace(GIB, 384 * MIB, 0));
    assertEquals(-Errno.ENODEV, m.dax.bind("dax1.0", PMEM, GIB, 0, 2 * MIB, MEM));
    assertEquals(-Errno.ENODEV, m.dax.bind(DAX, PMEM, GIB - 1, 0, 2 * MIB, MEM));
    assertEquals(-Errno.ENODEV, m.dax.bind(DAX, PMEM, GIB + 384 * MIB, 0, 2 * MIB, MEM));
    assertEquals(0, m.dax.bind(DAX, PMEM, GIB + 384 * MIB - 1, 0, 2 * MIB, MEM));
    Bound bound = Objects.requireNonNull(m.dax.bound(DAX));
    assertEquals((GIB + 2 * MIB) / PAGE, bound.dataPfn());
    assertEquals(382 * MIB / PAGE, bound.dataPages());
  }

  /**
   * Devices by addresses around a region of 512 MiB. Expect the region to have its first byte and not
   * the one behind its last, and a device of one region not to be found at another's address.
   */
  @Test
  void bind_hmemOutsideTheRegion_isRefused() {
    DaxMachine m = softReserved(GIB, 512 * MIB);

    assertEquals(-Errno.ENODEV, m.dax.bind(DAX, HMEM, GIB - MIB, 2 * MIB, 2 * MIB, MEM));
    assertEquals(-Errno.ENODEV, m.dax.bind(DAX, HMEM, GIB + 512 * MIB, 2 * MIB, 2 * MIB, MEM));
    assertEquals(
        -Errno.ENODEV, m.dax.bind("dax0.5", HMEM, GIB + 512 * MIB, 2 * MIB, 2 * MIB, MEM));
    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, 2 * MIB, 2 * MIB, MEM));
    assertEquals(
        0, m.dax.bind("dax0.2", HMEM, GIB + 4 * MIB, 2 * MIB, 2 * MIB, MEM));
    assertEquals((GIB + 4 * MIB) / PAGE, Objects.requireNonNull(m.dax.bound("dax0.2")).dataPfn());
  }

  /**
   * A second device of a region, which the first fills, and then when memory is short. Expect the
   * errors of the file "create".
   */
  @Test
  void bind_hmemNoDevice_isRefused() {
    DaxMachine m = softReserved(GIB, 512 * MIB);
    assertEquals(-Errno.ENOSPC, m.dax.bind("dax0.1", HMEM, GIB, 2 * MIB, 2 * MIB, MEM));
    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, 2 * MIB, 2 * MIB, MEM));
    m.failNth(1, "__devm_create_dev_dax");
    assertEquals(-Errno.ENOMEM, m.dax.bind("dax0.1", HMEM, GIB, 2 * MIB, 2 * MIB, MEM));
  }

  /**
   * A device is moved inside its region, and back to its start.
   *
   * <pre>
   *   1G            +128M       +256M
   *   |             | dax0.0    |
   *   | dax0.0      |
   * </pre>
   *
   * Expect it where it was asked for each time, with the page size that was asked for.
   */
  @Test
  void bind_hmemElsewhere_isMoved() {
    DaxMachine m = softReserved(GIB, 512 * MIB);
    assertEquals(0, m.dax.bind(DAX, HMEM, GIB + 128 * MIB, 128 * MIB, 4 * KIB, MEM));
    assertEquals(0, m.pgmap(DAX).vmemmapShift);
    assertEquals(0, m.dax.unbind(DAX));

    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, 128 * MIB, 2 * MIB, MEM));
    assertEquals(9, m.pgmap(DAX).vmemmapShift);
    Bound bound = Objects.requireNonNull(m.dax.bound(DAX));
    assertEquals(GIB / PAGE, bound.dataPfn());
    assertEquals(128 * MIB / PAGE, bound.dataPages());
    assertEquals(1, m.dax.bus().devices().size());
  }

  /** Where a device is wanted, another one is. Expect -ENOMEM, and the device without a size. */
  @Test
  void bind_hmemPlaceTaken_isRefused() {
    DaxMachine m = softReserved(GIB, 512 * MIB);
    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, 4 * MIB, 2 * MIB, MEM));

    assertEquals(
        -Errno.ENOMEM, m.dax.bind("dax0.1", HMEM, GIB + 2 * MIB, 4 * MIB, 2 * MIB, MEM));

    assertNull(m.dax.bound("dax0.1"));
    assertEquals(0, Bus.devDaxSize(m.devDax("dax0.1")));
  }

  /** A device of each source is mapped by a process. Expect the ones that are bound only. */
  @Test
  void mapDevice_states_answer() {
    DaxMachine m = softReserved(GIB, 512 * MIB);
    assertEquals(-Errno.ENXIO, m.dax.mapDevice(DAX));
    assertEquals(0, m.dax.unmapDevice(DAX));
    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, 4 * MIB, 2 * MIB, MEM));
    m.devDax(DAX).align = 4 * MIB;
    assertEquals(-Errno.EFAULT, m.dax.mapDevice(DAX));
    m.devDax(DAX).align = 2 * MIB;
    assertEquals(0, m.dax.mapDevice(DAX));
  }

  /** The info block of a device that has none, and of one that was taken away. Expect null. */
  @Test
  void infoBlock_none_isNull() {
    DaxMachine m = pmem(GIB, 384 * MIB);
    assertNull(m.dax.infoBlock(DAX));
    assertEquals(0, m.dax.bind(DAX, PMEM, GIB, 0, 2 * MIB, MEM));
    assertEquals(2 * MIB, Objects.requireNonNull(m.dax.infoBlock(DAX)).align());
    assertEquals(0, m.dax.unbind(DAX));
    m.failNth(1, "alloc_dax_region");
    assertEquals(-Errno.ENOMEM, m.dax.bind(DAX, PMEM, GIB, 0, 2 * MIB, MEM));
    assertNull(m.dax.infoBlock(DAX));
  }

  /** Plain ranges with and without memory. Expect the error of memremap_pages, and no range. */
  @Test
  void memremap_fails_nameIsFree() {
    DaxMachine m = new DaxMachine().boot();
    m.failNth(1, "percpu_ref_init");
    assertEquals(-Errno.ENOMEM, m.dax.memremap("A", GIB, 128 * MIB, 9, null, 0));
    assertNull(m.dax.bound("A"));
    assertEquals(-Errno.ENODEV, m.dax.memunmap("A"));

    assertEquals(0, m.dax.memremap("A", GIB, 128 * MIB, 9, null, 0));
    Bound bound = Objects.requireNonNull(m.dax.bound("A"));
    assertEquals(GIB / PAGE, bound.dataPfn());
    assertEquals(128 * MIB / PAGE, bound.dataPages());
    assertEquals(9, bound.pgmap().vmemmapShift);
    assertNull(m.dax.bound("B"));
    assertEquals(0, m.dax.memunmap("A"));
    assertEquals(-Errno.ENODEV, m.dax.memunmap("A"));
    assertEquals(List.of(), m.dax.bound());
  }

  /** A device whose number is far away. Expect 64 tries to make it, and no more. */
  @Test
  void bind_hmemFarNumber_givesUp() {
    DaxMachine m = softReserved(GIB, 512 * MIB);
    assertEquals(0, m.dax.bind(DAX, HMEM, GIB, 2 * MIB, 2 * MIB, MEM));

    assertEquals(
        -Errno.ENODEV, m.dax.bind("dax0.70", HMEM, GIB + 2 * MIB, 2 * MIB, 2 * MIB, MEM));
    assertEquals(1 + 64, m.dax.bus().devices().size());
  }

  /** The range of a plain mapping. Expect its first and last byte. */
  @Test
  void memremap_range_isExact() {
    DaxMachine m = new DaxMachine().boot();
    assertEquals(0, m.dax.memremap("A", GIB, 128 * MIB, 0, null, 0));
    assertEquals(new Range(GIB, GIB + 128 * MIB - 1), m.pgmap("A").ranges[0]);
  }
}
