// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.x86;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.arch.x86.X86Bench.MIB;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.arch.x86.AcpiMemhotplug.AcpiMemoryDevice;
import org.vmemmap.sparse.HotplugSystem;
import org.vmemmap.sparse.MemoryBlock;
import org.vmemmap.sparse.NotifierChain;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Errno;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Resource;

/** DIMMs that ACPI announces come and go, also when a step on the way fails. */
class AcpiMemhotplugTest {
  private static final long BLOCK = 128 * MIB;
  private static final long START = 1024 * MIB;
  private static final long FIRST = START / BLOCK;

  private final X86Bench k = X86Bench.fourLevel();
  private final IomemResource iomem = new IomemResource(k.mm);
  private final HotplugSystem h = hotplugSystem();
  private final AcpiMemhotplug acpi = new AcpiMemhotplug(k.mm, h);

  private HotplugSystem hotplugSystem() {
    k.pageAlloc.setupPerCpuPageset();
    k.pageAlloc.initPerZoneWmarkMin();
    long flags = Resource.IORESOURCE_SYSTEM_RAM | Resource.IORESOURCE_BUSY;
    Resource ram = new Resource(0, 256 * MIB - 1, "System RAM", flags, Resource.IORES_DESC_NONE);
    assertEquals(0, iomem.insertResource(iomem.iomemResource(), ram));
    HotplugSystem system =
        new HotplugSystem(
            k.mm, k.memblock, k.pageAlloc, k.slab, k.vmemmap, k.mmInit, k.hotplug, iomem, BLOCK);
    system.driverInit();
    return system;
  }

  /** A range of {@code count} blocks from {@code block} on, counted from 1 GiB. */
  private static Range range(long block, long count) {
    return new Range(START + block * BLOCK, START + (block + count) * BLOCK - 1);
  }

  private static AcpiMemoryDevice dimm(Range... crs) {
    return new AcpiMemoryDevice(0, List.of(crs));
  }

  private @Nullable String state(long block) {
    return h.sysfs().read("/sys/devices/system/memory/memory" + (FIRST + block) + "/state");
  }

  private int online(long block) {
    String file = "/sys/devices/system/memory/memory" + (FIRST + block) + "/state";
    return h.sysfs().write(file, "online_movable");
  }

  /** From now on the block does not go offline. */
  private void pin(long block) {
    long pfn = k.mm.model().physPfn(START + block * BLOCK);
    h.blocks()
        .registerMemoryNotifier(
            (action, arg) ->
                action == MemoryBlock.MEM_GOING_OFFLINE && arg.startPfn() == pfn
                    ? NotifierChain.NOTIFY_BAD
                    : NotifierChain.NOTIFY_OK);
  }

  private void assertQuiet() {
    assertEquals(List.of(), k.warnings());
    assertFalse(h.locks().held());
  }

  /**
   * A DIMM of two blocks comes and goes.
   *
   * <pre>
   *   0        256M            1G        1.25G
   *   | boot   |               | DIMM    |
   * </pre>
   *
   * Expect its blocks offline in a group of its own, then the machine as before.
   */
  @Test
  void plugAndEject_twoBlocks_leaveNothing() {
    String before = iomem.show();
    AcpiMemoryDevice dimm = dimm(range(0, 2));

    assertEquals(0, acpi.plug(dimm));
    assertEquals(0, dimm.addResult());
    assertEquals("offline", state(0));
    assertEquals("offline", state(1));
    assertNotNull(h.groups().memoryGroupFindById(0));
    assertEquals(before + "\n40000000-4fffffff : System RAM", iomem.show());

    assertEquals(0, acpi.eject(dimm));
    assertNull(state(0));
    assertNull(state(1));
    assertNull(h.groups().memoryGroupFindById(0));
    assertEquals(before, iomem.show());
    assertQuiet();
  }

  /** An ejected DIMM is put back. Expect its ranges to be read and added anew. */
  @Test
  void plug_afterEject_comesBack() {
    AcpiMemoryDevice dimm = dimm(range(0, 1));
    assertEquals(0, acpi.plug(dimm));
    assertEquals(0, acpi.eject(dimm));

    assertEquals(0, acpi.plug(dimm));
    assertEquals("offline", state(0));
    assertEquals(0, acpi.eject(dimm));
    assertQuiet();
  }

  /** Two halves of a block, neither of which could be added alone. Expect them to become one. */
  @Test
  void plug_rangesThatTouch_becomeOne() {
    Range first = new Range(START, START + BLOCK / 2 - 1);
    Range second = new Range(START + BLOCK / 2, START + BLOCK - 1);

    assertEquals(0, acpi.plug(dimm(first, second)));
    assertEquals("offline", state(0));
    assertTrue(iomem.show().endsWith("40000000-47ffffff : System RAM"));
    assertQuiet();
  }

  /** The second of two ranges lies a block further on. Expect two resources, one group. */
  @Test
  void plug_rangesApart_stayApart() {
    AcpiMemoryDevice dimm = dimm(range(0, 1), range(2, 1));

    assertEquals(0, acpi.plug(dimm));
    assertTrue(
        iomem.show().endsWith("40000000-47ffffff : System RAM\n50000000-57ffffff : System RAM"));
    assertNull(state(1));
    assertNull(h.groups().memoryGroupFindById(1));

    assertEquals(0, acpi.eject(dimm));
    assertNull(state(0));
    assertNull(state(2));
    assertQuiet();
  }

  /** A device without memory, or with a range of no bytes only. Expect -EINVAL and no group. */
  @ParameterizedTest
  @CsvSource({"false", "true"})
  void plug_noMemory_isRefused(boolean emptyRange) {
    AcpiMemoryDevice dimm = emptyRange ? dimm(range(0, 0)) : dimm();

    assertEquals(-Errno.EINVAL, acpi.plug(dimm));
    assertTrue(k.log().contains("device is empty"));
    assertNull(h.groups().memoryGroupFindById(0));
    assertQuiet();
  }

  /** A range of no bytes before a good one. Expect it to be passed over. */
  @Test
  void plug_emptyRangeBesideAnother_isSkipped() {
    AcpiMemoryDevice dimm = dimm(range(4, 0), range(0, 1));

    assertEquals(0, acpi.plug(dimm));
    assertEquals(0, dimm.addResult());
    assertEquals("offline", state(0));
  }

  /** Memory that the kernel uses already. Expect -EEXIST to be as good as an answer of 0. */
  @Test
  void plug_memoryInUse_isBoundAllTheSame() {
    AcpiMemoryDevice dimm = dimm(new Range(0, BLOCK - 1));

    assertEquals(0, acpi.plug(dimm));
    assertEquals(-Errno.EEXIST, dimm.addResult());
    assertNotNull(h.groups().memoryGroupFindById(0));
    assertQuiet();
  }

  /** Half a block, which cannot be added. Expect -EINVAL, a word, and the group gone again. */
  @Test
  void plug_noRangeFits_isRefused() {
    AcpiMemoryDevice dimm = dimm(new Range(START, START + BLOCK / 2 - 1));

    assertEquals(-Errno.EINVAL, acpi.plug(dimm));
    assertEquals(-Errno.EINVAL, dimm.addResult());
    assertTrue(k.log().contains("add_memory failed"));
    assertTrue(k.log().contains("acpi_memory_enable_device() error"));
    assertNull(h.groups().memoryGroupFindById(0));
    assertQuiet();
  }

  /**
   * One good range and one of half a block. Expect the device to work with the first; on ejection
   * only that is removed, and what was never added is not looked for.
   */
  @Test
  void plug_oneOfTwoRangesFails_worksWithTheOther() {
    Range half = new Range(START + 4 * BLOCK, START + 4 * BLOCK + BLOCK / 2 - 1);
    AcpiMemoryDevice dimm = dimm(half, range(0, 1));

    assertEquals(0, acpi.plug(dimm));
    assertEquals("offline", state(0));
    assertNull(state(4));

    assertEquals(0, acpi.eject(dimm));
    assertNull(state(0));
    assertNull(h.groups().memoryGroupFindById(0));
    assertQuiet();
  }

  /**
   * Each step of the driver fails before memory is added. Expect its error and nothing added; that the
   * next try reads the ranges anew, which can fail again; and success at the third, with every range
   * once.
   */
  @ParameterizedTest
  @CsvSource({
    // site, n-th, error
    "acpi_memory_device_add,   1, 12",
    "acpi_memory_get_resource, 1, 22",
    "acpi_memory_get_resource, 2, 22",
    "acpi_evaluate_integer,    1, 19",
    "memory_group_register,    1, 12",
    "xa_alloc,                 1, 12",
  })
  void plug_allocationFails_leavesNothing(String site, int n, int errno) {
    String before = iomem.show();
    AcpiMemoryDevice dimm = dimm(range(0, 1), range(2, 1));
    k.failNth(n, site);

    assertEquals(-errno, acpi.plug(dimm));
    assertNull(state(0));
    assertNull(h.groups().memoryGroupFindById(0));
    assertEquals(before, iomem.show());
    assertFalse(h.locks().held());

    k.failNth(1, "acpi_memory_get_resource");
    assertEquals(-Errno.EINVAL, acpi.plug(dimm));
    assertFalse(k.log().contains("device is empty"));
    assertEquals(0, acpi.plug(dimm));
    assertNotNull(h.groups().memoryGroupFindById(0));
    assertEquals("offline", state(0));
    assertEquals("offline", state(2));
  }

  /**
   * Two ranges are added, but the block of the second cannot be bound to the device. Expect -ENODEV,
   * and that the memory stays, with its group: to nobody it belongs to the DIMM any more, so ejecting
   * it takes nothing away.
   */
  @Test
  void plug_blockNotBound_leavesTheMemoryBehind() {
    AcpiMemoryDevice dimm = dimm(range(0, 1), range(2, 1), range(4, 1));
    k.failNth(2, "acpi_bind_one");

    assertEquals(-Errno.ENODEV, acpi.plug(dimm));
    assertEquals("offline", state(0));
    assertEquals("offline", state(2));
    assertNull(state(4));
    assertNotNull(h.groups().memoryGroupFindById(0));

    assertEquals(0, acpi.eject(dimm));
    assertEquals("offline", state(0));
    assertQuiet();
  }

  /** Blocks that are online, one of which was put offline before. Expect all to go. */
  @Test
  void eject_onlineBlocks_goOfflineFirst() {
    AcpiMemoryDevice dimm = dimm(range(0, 2), range(4, 1));
    assertEquals(0, acpi.plug(dimm));
    assertEquals(0, online(0));
    assertEquals(0, online(4));

    assertEquals(0, acpi.eject(dimm));
    assertNull(state(0));
    assertNull(state(1));
    assertNull(state(4));
    assertQuiet();
  }

  /**
   * A block that cannot go offline.
   *
   * <pre>
   *   block   0        1        2         4
   *   before  online   offline  online,   online
   *                             stays
   * </pre>
   *
   * Expect -EBUSY and each block as it was: 0 online again, 1 still offline, 4 not even asked. Block
   * 0 comes back as plain "online", which means a kernel zone: ZONE_MOVABLE begins at block 2 by now.
   */
  @Test
  void eject_blockThatStays_isRefusedAndUndone() {
    AcpiMemoryDevice dimm = dimm(range(0, 3), range(4, 1));
    assertEquals(0, acpi.plug(dimm));
    assertEquals(0, online(0));
    assertEquals(0, online(2));
    assertEquals(0, online(4));
    pin(2);

    assertEquals(-Errno.EBUSY, acpi.eject(dimm));
    assertEquals("online", state(0));
    assertEquals("offline", state(1));
    assertEquals("online", state(2));
    assertEquals("online", state(4));
    var group = h.groups().memoryGroupFindById(0);
    assertNotNull(group);
    assertEquals(2 * BLOCK / 4096, group.presentMovablePages);
    assertEquals(BLOCK / 4096, group.presentKernelPages);
    assertQuiet();
  }
}
