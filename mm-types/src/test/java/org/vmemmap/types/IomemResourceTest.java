// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mockito.Mockito.mock;
import static org.mockito.Mockito.when;
import static org.vmemmap.types.IomemResource.REGION_DISJOINT;
import static org.vmemmap.types.IomemResource.REGION_INTERSECTS;
import static org.vmemmap.types.IomemResource.REGION_MIXED;
import static org.vmemmap.types.Resource.IORESOURCE_BUSY;
import static org.vmemmap.types.Resource.IORESOURCE_MEM;
import static org.vmemmap.types.Resource.IORESOURCE_SYSRAM_MERGEABLE;
import static org.vmemmap.types.Resource.IORESOURCE_SYSTEM_RAM;
import static org.vmemmap.types.Resource.IORES_DESC_NONE;
import static org.vmemmap.types.Resource.IORES_DESC_PERSISTENT_MEMORY_LEGACY;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vmemmap.machine.Machine;

/** The resource tree: claims, releases, insertions, walks, and what each does at a conflict. */
class IomemResourceTest {
  private static final long MIB = 1L << 20;
  private static final long RAM_BUSY = IORESOURCE_SYSTEM_RAM | IORESOURCE_BUSY;

  private Machine machine;
  private Mm mm;
  private IomemResource iomem;
  private Resource root;

  @BeforeEach
  void freshTree() {
    ArchPgtable arch = mock(ArchPgtable.class);
    when(arch.pageShift()).thenReturn(12);
    when(arch.levels()).thenReturn(4);
    machine = new Machine(64 * MIB, arch, 0, Owner.values(), 1);
    mm =
        new Mm(
            machine,
            arch,
            MmConfig.debianX86().withDebugVm(true),
            new Mm.Image(0x7000_0000_0000_0000L, 0x1000, 0x10000, 0x1000));
    iomem = new IomemResource(mm);
    root = iomem.iomemResource();
  }

  private static Resource res(long start, long end, String name, long flags) {
    return new Resource(start, end, name, flags, IORES_DESC_NONE);
  }

  private static Resource present(@Nullable Resource res) {
    return Objects.requireNonNull(res);
  }

  private Resource ram(long start, long end) {
    Resource ram = res(start, end, "System RAM", RAM_BUSY);
    assertEquals(0, iomem.insertResource(root, ram));
    return ram;
  }

  private Resource window(long start, long end, int desc) {
    Resource window = new Resource(start, end, "window", IORESOURCE_MEM, desc);
    assertEquals(0, iomem.insertResource(root, window));
    return window;
  }

  /**
   * Two claims apart and one that overlaps.
   *
   * <pre>
   *   0x1000 [ a ]   0x3000 [ b ]
   *            [ c ]                 overlaps a
   * </pre>
   *
   * Expect a and b in ascending order, and -EBUSY for c, which stays outside.
   */
  @Test
  void requestResource_overlap_busy() {
    Resource b = res(0x3000, 0x3fff, "b", IORESOURCE_MEM);
    Resource a = res(0x1000, 0x1fff, "a", IORESOURCE_MEM);
    Resource c = res(0x1800, 0x2fff, "c", IORESOURCE_MEM);

    assertEquals(0, iomem.requestResource(root, b));
    assertEquals(0, iomem.requestResource(root, a));
    assertEquals(-Errno.EBUSY, iomem.requestResource(root, c));

    assertSame(a, iomem.requestResourceConflict(root, c));
    assertNull(c.parent);
    assertEquals("00001000-00001fff : a\n00003000-00003fff : b", iomem.show());
  }

  /**
   * A range that ends before it starts, or leaves its parent. Expect the parent as the conflict.
   */
  @Test
  void requestResource_outsideParent_parentIsConflict() {
    Resource parent = window(0x1000, 0x1fff, IORES_DESC_NONE);

    assertSame(parent, iomem.requestResourceConflict(parent, res(0x1800, 0x17ff, "x", 0)));
    assertSame(parent, iomem.requestResourceConflict(parent, res(0xfff, 0x1fff, "x", 0)));
    assertSame(parent, iomem.requestResourceConflict(parent, res(0x1000, 0x2000, "x", 0)));
  }

  /**
   * Addresses are unsigned. Expect a resource at the top of the address space behind all others.
   */
  @Test
  void requestResource_topOfAddressSpace_sortsLast() {
    Resource top = res(-4096, -1, "top", IORESOURCE_MEM);
    Resource low = res(0x1000, 0x1fff, "low", IORESOURCE_MEM);

    assertEquals(0, iomem.requestResource(root, top));
    assertEquals(0, iomem.requestResource(root, low));

    assertSame(low, root.child);
    assertSame(top, low.sibling);
  }

  /** Release of a resource with children. Expect it gone with them, and -EINVAL the second time. */
  @Test
  void releaseResource_withChildren_takesThemAlong() {
    Resource parent = window(0x1000, 0x1fff, IORES_DESC_NONE);
    assertNotNull(iomem.requestMemRegion(0x1000, 0x100, "driver"));

    assertEquals(0, iomem.releaseResource(parent));

    assertNull(root.child);
    assertThrows(KernelBug.class, () -> iomem.releaseResource(parent));
  }

  /** A resource whose parent does not know it. Expect -EINVAL. */
  @Test
  void releaseResource_notAChild_invalid() {
    Resource stray = res(0, 1, "stray", 0);
    stray.parent = root;
    assertEquals(-Errno.EINVAL, iomem.releaseResource(stray));
  }

  /**
   * Removal of the middle of three, which has two children.
   *
   * <pre>
   *   | a |     window      | b |        before
   *   | a | driver | driver | b |        after
   * </pre>
   *
   * Expect the children in its place.
   */
  @Test
  void removeResource_withChildren_movesThemUp() {
    ram(0x0, 0xfff);
    Resource window = window(0x1000, 0x2fff, IORES_DESC_NONE);
    ram(0x3000, 0x3fff);
    assertNotNull(iomem.requestMemRegion(0x1000, 0x1000, "one"));
    assertNotNull(iomem.requestMemRegion(0x2000, 0x1000, "two"));

    assertEquals(0, iomem.removeResource(window));

    assertEquals(
        """
        00000000-00000fff : System RAM
        00001000-00001fff : one
        00002000-00002fff : two
        00003000-00003fff : System RAM""",
        iomem.show());
    assertSame(root, present(iomem.lookupResource(root, 0x2000)).parent);
    assertNull(iomem.lookupResource(root, 0x9000));
  }

  /** A claim inside a window that is not busy. Expect it as the window's child. */
  @Test
  void requestRegion_insideWindow_becomesChild() {
    window(0x1000, 0x4fff, IORES_DESC_PERSISTENT_MEMORY_LEGACY);

    Resource claim = present(iomem.requestMemRegion(0x2000, 0x1000, "dax0.0"));

    assertEquals("00001000-00004fff : window\n  00002000-00002fff : dax0.0", iomem.show());
    assertEquals(IORESOURCE_MEM | IORESOURCE_BUSY, claim.flags);
    assertEquals(IORES_DESC_PERSISTENT_MEMORY_LEGACY, claim.desc);
  }

  /** A claim of what is busy, or half in a window. Expect null and an unchanged tree. */
  @Test
  void requestRegion_conflict_null() {
    ram(0x0, 0xfff);
    window(0x1000, 0x1fff, IORES_DESC_NONE);
    String before = iomem.show();

    assertNull(iomem.requestMemRegion(0x800, 0x100, "in ram"));
    assertNull(iomem.requestMemRegion(0x1800, 0x1000, "half in window"));

    assertEquals(before, iomem.show());
  }

  /**
   * Private device memory has no bus address of its own. Expect a warning at a conflict with it.
   */
  @Test
  void requestRegion_conflictWithPrivateMemory_warns() {
    Resource priv =
        new Resource(
            0x1000,
            0x1fff,
            "gpu",
            IORESOURCE_MEM | IORESOURCE_BUSY,
            Resource.IORES_DESC_DEVICE_PRIVATE_MEMORY);
    assertEquals(0, iomem.requestResource(root, priv));

    assertNull(iomem.requestMemRegion(0x1000, 0x1000, "nic"));

    String last = mm.printk().lines().getLast().text();
    assertTrue(last.startsWith("Unaddressable device gpu [mem 0x00001000-0x00001fff"), last);
  }

  /** No memory for the entry. Expect null and an unchanged tree. */
  @Test
  void requestRegion_noMemory_null() {
    machine.faults().failNth(1, "alloc_resource"::equals);
    assertNull(iomem.requestMemRegion(0x1000, 0x1000, "dax0.0"));
    assertEquals("", iomem.show());
  }

  /** A claim is given back from inside a window. Expect the window empty. */
  @Test
  void releaseRegion_insideWindow_windowStays() {
    window(0x1000, 0x4fff, IORES_DESC_NONE);
    assertNotNull(iomem.requestMemRegion(0x2000, 0x1000, "a"));
    assertNotNull(iomem.requestMemRegion(0x3000, 0x1000, "b"));

    iomem.releaseMemRegion(0x3000, 0x1000);

    assertEquals("00001000-00004fff : window\n  00002000-00002fff : a", iomem.show());
  }

  /** Release of half a claim, and of nothing. Expect a warning each, and an unchanged tree. */
  @Test
  void releaseRegion_notExact_warns() {
    assertNotNull(iomem.requestMemRegion(0x2000, 0x1000, "a"));

    iomem.releaseMemRegion(0x2000, 0x800);
    iomem.releaseMemRegion(0x8000, 0x1000);

    assertEquals("00002000-00002fff : a", iomem.show());
    List<String> log = mm.printk().lines().stream().map(Printk.Line::text).toList();
    assertEquals(
        List.of(
            "Trying to free nonexistent resource <0x0000000000002000-0x00000000000027ff>",
            "Trying to free nonexistent resource <0x0000000000008000-0x0000000000008fff>"),
        log);
  }

  /**
   * A new resource around two that are there.
   *
   * <pre>
   *        | a | b |              before
   *   |       window     |        after, with a and b inside
   * </pre>
   *
   * Expect both as its children.
   */
  @Test
  void insertResource_aroundOthers_adoptsThem() {
    ram(0x0, 0xfff);
    ram(0x2000, 0x2fff);
    ram(0x3000, 0x3fff);

    window(0x1000, 0x4fff, IORES_DESC_NONE);

    assertEquals(
        """
        00000000-00000fff : System RAM
        00001000-00004fff : window
          00002000-00002fff : System RAM
          00003000-00003fff : System RAM""",
        iomem.show());
  }

  /** The same range again. Expect the new one around the old. */
  @Test
  void insertResource_sameRange_newIsParent() {
    Resource inner = ram(0x1000, 0x1fff);
    Resource outer = window(0x1000, 0x1fff, IORES_DESC_NONE);
    assertSame(outer, inner.parent);
  }

  /** Half inside and half outside. Expect -EBUSY and the one in the way. */
  @Test
  void insertResource_partialOverlap_busy() {
    ram(0x1000, 0x1fff);
    Resource second = ram(0x3000, 0x3fff);

    assertEquals(-Errno.EBUSY, iomem.insertResource(root, res(0x800, 0x17ff, "x", 0)));
    assertSame(second, iomem.insertResourceConflict(root, res(0x800, 0x37ff, "x", 0)));
  }

  /** A resource that is already in the tree. Expect the WARN. */
  @Test
  void insertResource_twice_warns() {
    Resource once = ram(0x1000, 0x1fff);
    assertEquals(-Errno.EBUSY, iomem.insertResource(root, once));
    assertEquals(List.of("__insert_resource: first == new"), mm.printk().warnings());
  }

  /** A range that overlaps two others half. Expect it widened around both, and log lines. */
  @Test
  void insertResourceExpandToFit_partialOverlaps_grows() {
    ram(0x1000, 0x1fff);
    ram(0x3000, 0x3fff);
    Resource wide = res(0x1800, 0x37ff, "Persistent Memory", IORESOURCE_MEM);

    iomem.insertResourceExpandToFit(root, wide);

    assertEquals(0x1000, wide.start);
    assertEquals(0x3fff, wide.end);
    assertSame(wide, root.child);
    assertEquals(
        "Expanded resource Persistent Memory due to conflict with System RAM",
        mm.printk().lines().get(0).text());
  }

  /** A resource with a parent. Expect nothing to happen. */
  @Test
  void insertResourceExpandToFit_inserted_ignored() {
    Resource there = ram(0x1000, 0x1fff);
    iomem.insertResourceExpandToFit(root, there);
    assertEquals("00001000-00001fff : System RAM", iomem.show());
  }

  /** Growth into the parent's end, a neighbour or over a child. Expect -EBUSY; else 0. */
  @Test
  void adjustResource_conflicts_busy() {
    Resource parent = window(0x1000, 0x8fff, IORES_DESC_NONE);
    Resource a = present(iomem.requestMemRegion(0x2000, 0x1000, "a"));
    Resource b = present(iomem.requestMemRegion(0x4000, 0x1000, "b"));

    assertEquals(-Errno.EBUSY, iomem.adjustResource(b, 0x4000, 0x8000));
    assertEquals(-Errno.EBUSY, iomem.adjustResource(b, 0x2800, 0x1000));
    assertEquals(-Errno.EBUSY, iomem.adjustResource(a, 0x2000, 0x2800));
    assertEquals(-Errno.EBUSY, iomem.adjustResource(parent, 0x3000, 0x1000));
    assertEquals(0, iomem.adjustResource(b, 0x3000, 0x6000));
    assertEquals(0x8fff, b.end);
  }

  /** A resource in no tree. Expect any size to be fine. */
  @Test
  void adjustResource_withoutParent_free() {
    Resource alone = res(0x1000, 0x1fff, "alone", 0);
    assertEquals(0, iomem.adjustResource(alone, 0, 0x10000));
    assertEquals(0xffff, alone.end);
  }

  /**
   * A gap with somebody in the middle of it.
   *
   * <pre>
   *   before   |        | dev |       |
   *   after    | buffer | dev | buffer|
   * </pre>
   *
   * Expect both pieces busy.
   */
  @Test
  void reserveRegionWithSplit_aroundOther_twoPieces() {
    window(0x2000, 0x2fff, IORES_DESC_NONE);

    iomem.reserveRegionWithSplit(root, 0x1000, 0x3fff, "RAM buffer");

    assertEquals(
        """
        00001000-00001fff : RAM buffer
        00002000-00002fff : window
        00003000-00003fff : RAM buffer""",
        iomem.show());
    assertEquals(IORESOURCE_MEM | IORESOURCE_BUSY, present(root.child).flags);
  }

  /** Somebody at the start, at the end, or over all of it. Expect the rest, or nothing. */
  @Test
  void reserveRegionWithSplit_partlyTaken_rest() {
    window(0x0, 0x17ff, IORES_DESC_NONE);
    window(0x2800, 0x5fff, IORES_DESC_NONE);

    iomem.reserveRegionWithSplit(root, 0x1000, 0x2fff, "RAM buffer");
    iomem.reserveRegionWithSplit(root, 0x3000, 0x3fff, "RAM buffer");

    assertEquals(
        """
        00000000-000017ff : window
        00001800-000027ff : RAM buffer
        00002800-00005fff : window""",
        iomem.show());
  }

  /** No memory for the first entry, or for the piece behind. Expect nothing entered. */
  @Test
  void reserveRegionWithSplit_noMemory_nothing() {
    window(0x2000, 0x2fff, IORES_DESC_NONE);

    machine.faults().failNth(1, "alloc_resource"::equals);
    iomem.reserveRegionWithSplit(root, 0x1000, 0x3fff, "RAM buffer");
    machine.faults().failNth(2, "alloc_resource"::equals);
    iomem.reserveRegionWithSplit(root, 0x1000, 0x3fff, "RAM buffer");

    assertEquals("00002000-00002fff : window", iomem.show());
  }

  /** A range that leaves the root, or misses it. Expect it cut, or refused, with messages. */
  @Test
  void reserveRegionWithSplit_outsideRoot_cutOrRefused() {
    Resource small = window(0x1000, 0x1fff, IORES_DESC_NONE);

    iomem.reserveRegionWithSplit(small, 0x1800, 0x2fff, "RAM buffer");
    iomem.reserveRegionWithSplit(small, 0x8000, 0x8fff, "RAM buffer");

    assertEquals("00001000-00001fff : window\n  00001800-00001fff : RAM buffer", iomem.show());
    List<String> log = mm.printk().lines().stream().map(Printk.Line::text).toList();
    assertEquals("fixing request to [0x1800-0x1fff]", log.get(1));
    assertTrue(log.get(2).startsWith("requested range [0x8000-0x8fff] not in root"), log.get(2));
    assertEquals(3, log.size());
  }

  /**
   * What a range of addresses is.
   *
   * <pre>
   *   0x1000 [ System RAM ] 0x2000 [ window: 0x2800 [ System RAM ] ] 0x3000   hole
   * </pre>
   *
   * Expect RAM with a hole to count as RAM, and RAM with somebody else as mixed.
   */
  @Test
  void regionIntersects_byContent() {
    ram(0x1000, 0x1fff);
    Resource window = window(0x2000, 0x2fff, IORES_DESC_NONE);
    assertEquals(0, iomem.insertResource(window, res(0x2800, 0x2fff, "System RAM", RAM_BUSY)));

    assertEquals(REGION_INTERSECTS, intersects(0x1000, 0x1000));
    assertEquals(REGION_INTERSECTS, intersects(0x0, 0x1800));
    assertEquals(REGION_INTERSECTS, intersects(0x2800, 0x4000));
    assertEquals(REGION_MIXED, intersects(0x1000, 0x1800));
    assertEquals(REGION_MIXED, intersects(0x2000, 0x1000));
    assertEquals(REGION_DISJOINT, intersects(0x2000, 0x400));
    assertEquals(REGION_DISJOINT, intersects(0x4000, 0x1000));
  }

  /** RAM in two parts that fill a window. Expect it to count as RAM throughout. */
  @Test
  void regionIntersects_windowFilledByTwo_intersects() {
    Resource window = window(0x2000, 0x2fff, IORES_DESC_NONE);
    assertEquals(0, iomem.insertResource(window, res(0x2000, 0x27ff, "System RAM", RAM_BUSY)));
    assertEquals(0, iomem.insertResource(window, res(0x2800, 0x2fff, "System RAM", RAM_BUSY)));
    assertEquals(REGION_INTERSECTS, intersects(0x2000, 0x1000));
  }

  private int intersects(long start, long size) {
    return iomem.regionIntersects(start, size, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE);
  }

  /** Memory kept for drivers is in a tree of its own. Expect it there and not in iomem. */
  @Test
  void softReserve_ownTree() {
    Resource soft =
        new Resource(
            0x1000, 0x1fff, "Soft Reserved", IORESOURCE_MEM, Resource.IORES_DESC_SOFT_RESERVED);
    iomem.insertResourceExpandToFit(iomem.softReserveResource(), soft);

    List<Long> starts = new ArrayList<>();
    iomem.walkSoftReserveRes(
        0,
        -1,
        found -> {
          starts.add(found.start);
          return 0;
        });

    assertEquals(List.of(0x1000L), starts);
    assertEquals(REGION_INTERSECTS, iomem.regionIntersectsSoftReserve(0x1000, 0x1000));
    assertEquals(REGION_DISJOINT, iomem.regionIntersectsSoftReserve(0x2000, 0x1000));
    assertEquals("", iomem.show());
  }

  /** Walks over RAM, cut to what was asked for. Expect the parts, and -EINVAL for none. */
  @Test
  void walkSystemRam_cutToRange() {
    ram(0x1000, 0x2fff);
    window(0x3000, 0x3fff, IORES_DESC_NONE);
    ram(0x4000, 0x4fff);
    List<String> seen = new ArrayList<>();

    int rc =
        iomem.walkSystemRamRes(
            0x2000,
            0x47ff,
            found -> {
              seen.add(Long.toHexString(found.start) + "-" + Long.toHexString(found.end));
              return 0;
            });

    assertEquals(0, rc);
    assertEquals(List.of("2000-2fff", "4000-47ff"), seen);
    assertEquals(-Errno.EINVAL, iomem.walkSystemRamRes(0x8000, 0x9000, found -> 0));
    assertEquals(7, iomem.walkMemRes(0, -1, found -> 7));
    assertEquals(-Errno.EINVAL, iomem.walkSystemRamRes(0x2000, 0x1000, found -> 0));
  }

  /**
   * Frames that are only half RAM do not count. Expect the full ones, and page_is_ram() to agree.
   */
  @Test
  void walkSystemRamRange_fullPagesOnly() {
    ram(0x1800, 0x3fff);
    List<Long> seen = new ArrayList<>();

    iomem.walkSystemRamRange(
        0,
        16,
        (pfn, n) -> {
          seen.add(pfn);
          seen.add(n);
          return 0;
        });

    assertEquals(List.of(2L, 2L), seen);
    assertTrue(iomem.pageIsRam(3));
    assertEquals(-Errno.EINVAL, iomem.walkSystemRamRange(8, 1, (pfn, n) -> 0));
  }

  /** Hot-removal of all, the start, the end and the middle. Expect what is left each time. */
  @Test
  void releaseMemRegionAdjustable_parts() {
    ram(0x10000, 0x1ffff);

    iomem.releaseMemRegionAdjustable(0x14000, 0x4000);
    assertEquals("00010000-00013fff : System RAM\n00018000-0001ffff : System RAM", iomem.show());
    iomem.releaseMemRegionAdjustable(0x10000, 0x1000);
    iomem.releaseMemRegionAdjustable(0x1f000, 0x1000);
    assertEquals("00011000-00013fff : System RAM\n00018000-0001efff : System RAM", iomem.show());
    iomem.releaseMemRegionAdjustable(0x11000, 0x3000);
    assertEquals("00018000-0001efff : System RAM", iomem.show());
  }

  /**
   * Removal from the middle when memory is short. Expect it to work: the kernel does not give up.
   */
  @Test
  void releaseMemRegionAdjustable_noMemory_stillSplits() {
    ram(0x10000, 0x1ffff);
    machine.faults().failFrom(1, "alloc_resource"::equals);
    iomem.releaseMemRegionAdjustable(0x14000, 0x4000);
    assertEquals("00010000-00013fff : System RAM\n00018000-0001ffff : System RAM", iomem.show());
  }

  /** A split between children. Expect each below the part that it lies in. */
  @Test
  void releaseMemRegionAdjustable_splitWithChildren_reparented() {
    Resource all = ram(0x10000, 0x1ffff);
    assertEquals(0, iomem.requestResource(all, res(0x10000, 0x10fff, "low", 0)));
    assertEquals(0, iomem.requestResource(all, res(0x1a000, 0x1afff, "high", 0)));
    assertEquals(0, iomem.requestResource(all, res(0x1b000, 0x1bfff, "higher", 0)));

    iomem.releaseMemRegionAdjustable(0x14000, 0x4000);

    assertEquals(
        """
        00010000-00013fff : System RAM
          00010000-00010fff : low
        00018000-0001ffff : System RAM
          0001a000-0001afff : high
          0001b000-0001bfff : higher""",
        iomem.show());
  }

  /** A child in what is removed. Expect the WARN of each case and nothing removed. */
  @Test
  void releaseMemRegionAdjustable_childInTheWay_warns() {
    Resource all = ram(0x10000, 0x1ffff);
    assertEquals(0, iomem.requestResource(all, res(0x10000, 0x1ffff, "user", 0)));

    iomem.releaseMemRegionAdjustable(0x10000, 0x1000);
    iomem.releaseMemRegionAdjustable(0x1f000, 0x1000);
    iomem.releaseMemRegionAdjustable(0x14000, 0x1000);

    assertEquals(
        List.of(
            "release_mem_region_adjustable: adjust start",
            "release_mem_region_adjustable: adjust end",
            "release_mem_region_adjustable: split"),
        mm.printk().warnings());
    assertEquals(0x1ffff, all.end);
  }

  /** A range that is in nobody's hands, or that is no memory. Expect nothing. */
  @Test
  void releaseMemRegionAdjustable_notThere_ignored() {
    Resource io = res(0x1000, 0x1fff, "port", 0x100 | IORESOURCE_BUSY);
    assertEquals(0, iomem.requestResource(root, io));
    window(0x4000, 0x4fff, IORES_DESC_NONE);

    iomem.releaseMemRegionAdjustable(0x1000, 0x1000);
    iomem.releaseMemRegionAdjustable(0x4000, 0x1000);
    iomem.releaseMemRegionAdjustable(0x8000, 0x1000);

    assertEquals("00001000-00001fff : port\n00004000-00004fff : window", iomem.show());
  }

  /** A range outside of a smaller root. Expect the WARN. */
  @Test
  void releaseMemRegionAdjustable_outsideRoot_warns() {
    root.end = 0xffff;
    iomem.releaseMemRegionAdjustable(0xf000, 0x2000);
    assertEquals(1, mm.printk().warnings().size());
  }

  /** Three neighbours, two of them mergeable. Expect those joined when the last is marked. */
  @Test
  void mergeSystemRamResource_joinsMarkedNeighbours() {
    Resource first = ram(0x1000, 0x1fff);
    ram(0x3000, 0x3fff);
    Resource second = ram(0x2000, 0x2fff);

    iomem.mergeSystemRamResource(first);
    iomem.mergeSystemRamResource(second);

    assertEquals("00001000-00002fff : System RAM\n00003000-00003fff : System RAM", iomem.show());
    assertEquals(RAM_BUSY | IORESOURCE_SYSRAM_MERGEABLE, first.flags);
  }

  /** The right neighbour is marked first. Expect it swallowed. */
  @Test
  void mergeSystemRamResource_nextMarked_swallowed() {
    Resource first = ram(0x1000, 0x1fff);
    Resource second = ram(0x2000, 0x2fff);
    iomem.mergeSystemRamResource(second);
    iomem.mergeSystemRamResource(first);
    assertEquals("00001000-00002fff : System RAM", iomem.show());
  }

  /** Something that is not busy RAM. Expect the WARN and no mark. */
  @Test
  void mergeSystemRamResource_notRam_warns() {
    Resource window = window(0x1000, 0x1fff, IORES_DESC_NONE);
    iomem.mergeSystemRamResource(window);
    assertEquals(
        List.of("merge_system_ram_resource: (res->flags & flags) != flags"),
        mm.printk().warnings());
    assertEquals(IORESOURCE_MEM, window.flags);
  }

  /** A resource without a name. Expect what /proc/iomem shows for it. */
  @Test
  void show_noName_bad() {
    Resource nameless = new Resource();
    nameless.start = 0x1000;
    nameless.end = 0x1fff;
    assertEquals(0, iomem.requestResource(root, nameless));
    assertEquals("00001000-00001fff : <BAD>", iomem.show());
  }

  /** One page of RAM and the pages at both sides. Expect only the one to be RAM. */
  @Test
  void pageIsRam_neighbours_areNot() {
    ram(0x2000, 0x2fff);
    assertFalse(iomem.pageIsRam(1));
    assertTrue(iomem.pageIsRam(2));
    assertFalse(iomem.pageIsRam(3));
  }

  /**
   * A run of frames that ends inside RAM, and one that RAM fills to the end of the run.
   *
   * <pre>
   *   RAM   0x1000 [ 4 pages ] 0x5000   0x6000 [ 2 pages ] 0x8000
   * </pre>
   *
   * Expect the parts inside the run, the walk to stop at the first answer that is not 0, and that
   * answer.
   */
  @Test
  void walkSystemRamRange_answer_stopsTheWalk() {
    ram(0x1000, 0x4fff);
    ram(0x6000, 0x7fff);
    List<Long> seen = new ArrayList<>();

    int rc =
        iomem.walkSystemRamRange(
            2,
            5,
            (pfn, n) -> {
              seen.add(pfn);
              seen.add(n);
              return 0;
            });
    assertEquals(0, rc);
    assertEquals(List.of(2L, 3L, 6L, 1L), seen);

    seen.clear();
    rc =
        iomem.walkSystemRamRange(
            0,
            16,
            (pfn, n) -> {
              seen.add(pfn);
              return 9;
            });
    assertEquals(9, rc);
    assertEquals(List.of(1L), seen);
  }

  /** Memory of a kind. Expect the ranges with that descriptor, and the answer of the last call. */
  @Test
  void walkIomemResDesc_kind_findsItsOwn() {
    ram(0x1000, 0x1fff);
    window(0x2000, 0x2fff, IORES_DESC_PERSISTENT_MEMORY_LEGACY);
    window(0x4000, 0x4fff, IORES_DESC_PERSISTENT_MEMORY_LEGACY);
    window(0x5000, 0x5fff, IORES_DESC_NONE);
    List<Long> starts = new ArrayList<>();

    int rc =
        iomem.walkIomemResDesc(
            IORES_DESC_PERSISTENT_MEMORY_LEGACY,
            IORESOURCE_MEM,
            0,
            -1,
            found -> {
              starts.add(found.start);
              return found.start == 0x4000 ? 3 : 0;
            });

    assertEquals(3, rc);
    assertEquals(List.of(0x2000L, 0x4000L), starts);
    assertEquals(
        -Errno.EINVAL,
        iomem.walkIomemResDesc(
            IORES_DESC_PERSISTENT_MEMORY_LEGACY, IORESOURCE_BUSY, 0, -1, found -> 0));
    assertEquals(
        -Errno.EINVAL,
        iomem.walkIomemResDesc(IORES_DESC_NONE, IORESOURCE_MEM, 0x2000, 0x2000, found -> 0));
  }

  /** What drivers may take, walked to its end and stopped. Expect the answer of the last call. */
  @Test
  void walkSoftReserveRes_answer_isReturned() {
    Resource soft =
        new Resource(
            0x1000, 0x1fff, "Soft Reserved", IORESOURCE_MEM, Resource.IORES_DESC_SOFT_RESERVED);
    iomem.insertResourceExpandToFit(iomem.softReserveResource(), soft);

    assertEquals(5, iomem.walkSoftReserveRes(0, -1, found -> 5));
    assertEquals(0, iomem.walkSoftReserveRes(0, -1, found -> 0));
    assertEquals(-Errno.EINVAL, iomem.walkSoftReserveRes(0x2000, -1, found -> 0));
  }

  /** The parts of a resource's flags. Expect its length with both ends, its type and its kind. */
  @Test
  void resource_parts_areTheKernels() {
    Resource ram = ram(0x1000, 0x2fff);
    Resource window = window(0x4000, 0x4000, IORES_DESC_NONE);

    assertEquals(0x2000, ram.size());
    assertEquals(1, window.size());
    assertEquals(IORESOURCE_MEM, ram.type());
    assertEquals(Resource.IORESOURCE_SYSRAM, ram.extType());
    assertEquals(0, window.extType());
    assertEquals("[mem 0x00001000-0x00002fff flags 0x81000200]", ram.toString());
  }

  /** Memory behind the addresses of a walk only. Expect -EINVAL, and nobody asked. */
  @Test
  void walkSystemRamRes_memoryBehindTheEnd_isNotSeen() {
    ram(0xa000, 0xafff);
    assertEquals(
        -Errno.EINVAL,
        iomem.walkSystemRamRes(
            0x8000,
            0x9fff,
            found -> {
              throw new AssertionError("visited " + found);
            }));
  }

  /** Less than a page of RAM. Expect no run of frames to be visited, not even an empty one. */
  @Test
  void walkSystemRamRange_partOfAPage_isNotVisited() {
    ram(0x1000, 0x17ff);
    assertEquals(
        -Errno.EINVAL,
        iomem.walkSystemRamRange(
            0,
            16,
            (pfn, n) -> {
              throw new AssertionError("visited " + pfn + " + " + n);
            }));
  }

  /** A resource that leaves its parent. Expect -EBUSY with the parent in the way. */
  @Test
  void insertResource_outsideParent_busy() {
    Resource window = window(0x1000, 0x1fff, IORES_DESC_NONE);
    Resource wide = res(0x1000, 0x2fff, "wide", IORESOURCE_MEM);

    assertSame(window, iomem.insertResourceConflict(window, wide));
    assertEquals(-Errno.EBUSY, iomem.insertResource(window, wide));
    assertNull(window.child);
  }

  /**
   * Resources inside a window, and over its end.
   *
   * <pre>
   *   |       window       |
   *     | in |          | over |
   * </pre>
   *
   * Expect the first below the window, and the window in the way of the second.
   */
  @Test
  void insertResource_insideWindow_descends() {
    Resource window = window(0x1000, 0x4fff, IORES_DESC_NONE);
    Resource in = res(0x2000, 0x2fff, "in", IORESOURCE_MEM);

    assertEquals(0, iomem.insertResource(root, in));
    assertSame(window, in.parent);
    assertSame(window, iomem.insertResourceConflict(root, res(0x4000, 0x5fff, "over", 0)));
    assertSame(window, iomem.insertResourceConflict(root, res(0x800, 0x1fff, "under", 0)));
    assertEquals("00001000-00004fff : window\n  00002000-00002fff : in", iomem.show());
  }

  /** A resource that its parent does not know. Expect -EINVAL, as for one that is released. */
  @Test
  void removeResource_notAChild_invalid() {
    Resource stray = res(0, 1, "stray", 0);
    stray.parent = root;
    assertEquals(-Errno.EINVAL, iomem.removeResource(stray));
  }

  /** A child that begins with the last byte that is removed. Expect it in the way, with a WARN. */
  @Test
  void releaseMemRegionAdjustable_childAtTheLastByte_warns() {
    Resource all = ram(0x10000, 0x1ffff);
    assertEquals(0, iomem.requestResource(all, res(0x17fff, 0x18fff, "user", 0)));

    iomem.releaseMemRegionAdjustable(0x14000, 0x4000);

    assertEquals(
        List.of("release_mem_region_adjustable: split"), mm.printk().warnings());
    assertEquals(0x1ffff, all.end);
  }

  /** A range inside the root, with somebody in it. Expect no message and no WARN. */
  @Test
  void reserveRegionWithSplit_insideRoot_saysNothing() {
    Resource small = window(0x1000, 0x4fff, IORES_DESC_NONE);
    assertNotNull(iomem.requestMemRegion(0x2000, 0x1000, "a"));

    iomem.reserveRegionWithSplit(small, 0x1000, 0x4fff, "rest");
    iomem.reserveRegionWithSplit(small, 0x2000, 0x2fff, "nothing");

    assertEquals(
        """
        00001000-00004fff : window
          00001000-00001fff : rest
          00002000-00002fff : a
          00003000-00004fff : rest""",
        iomem.show());
    assertEquals(List.of(), mm.printk().lines());
    assertEquals(List.of(), mm.printk().warnings());
  }

  /** Resources nested ten deep. Expect /proc/iomem to indent no more than eight levels. */
  @Test
  void show_nestedDeep_indentsEightLevels() {
    for (int depth = 0; depth < 10; depth++) {
      window(0x1000, 0xffff - 0x100L * depth, IORES_DESC_NONE);
    }

    List<String> lines = iomem.show().lines().toList();

    assertEquals("  ".repeat(7) + "00001000-0000f8ff : window", lines.get(7));
    assertEquals("  ".repeat(8) + "00001000-0000f7ff : window", lines.get(8));
    assertEquals("  ".repeat(8) + "00001000-0000f6ff : window", lines.get(9));
  }

  /** Neighbours that differ in one thing. Expect none of them joined with what is marked. */
  @Test
  void mergeSystemRamResource_different_stayApart() {
    assertApart(res(0x2800, 0x2fff, "System RAM", RAM_BUSY));
    assertApart(res(0x2000, 0x2fff, "Other RAM", RAM_BUSY));
    assertApart(
        new Resource(
            0x2000, 0x2fff, "System RAM", RAM_BUSY, IORES_DESC_PERSISTENT_MEMORY_LEGACY));
    assertApart(res(0x2000, 0x2fff, "System RAM", RAM_BUSY | 0x1));
  }

  private void assertApart(Resource second) {
    freshTree();
    Resource first = ram(0x1000, 0x1fff);
    assertEquals(0, iomem.insertResource(root, second));
    String before = iomem.show();
    iomem.mergeSystemRamResource(second);
    iomem.mergeSystemRamResource(first);
    assertEquals(before, iomem.show());
  }

  /** Neighbours of which one is in use by somebody. Expect both to stay, whichever it is. */
  @Test
  void mergeSystemRamResource_child_stayApart() {
    Resource first = ram(0x1000, 0x1fff);
    Resource second = ram(0x2000, 0x2fff);
    Resource user = res(0x2000, 0x20ff, "user", 0);
    assertEquals(0, iomem.requestResource(second, user));
    iomem.mergeSystemRamResource(second);
    iomem.mergeSystemRamResource(first);
    assertEquals(0x1fff, first.end);

    assertEquals(0, iomem.releaseResource(user));
    assertEquals(0, iomem.requestResource(first, res(0x1000, 0x10ff, "user", 0)));
    iomem.mergeSystemRamResource(first);
    assertEquals(0x1fff, first.end);
  }

  /** RAM beside a window with RAM in its second half. Expect both parts to count, so mixed. */
  @Test
  void regionIntersects_ramBesideHalfAWindow_isMixed() {
    ram(0x1000, 0x1fff);
    Resource window = window(0x2000, 0x2fff, IORES_DESC_NONE);
    assertEquals(0, iomem.insertResource(window, res(0x2800, 0x2fff, "System RAM", RAM_BUSY)));

    assertEquals(REGION_MIXED, intersects(0x1000, 0x2000));
  }
}
