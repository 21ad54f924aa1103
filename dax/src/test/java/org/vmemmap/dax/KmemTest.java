// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.dax.DaxMachine.GIB;
import static org.vmemmap.dax.DaxMachine.MIB;
import static org.vmemmap.dax.DaxMachine.SECTION;

import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.sparse.HotplugSystem;
import org.vmemmap.sparse.MemoryBlock;
import org.vmemmap.sparse.Mmop;
import org.vmemmap.sparse.NotifierChain;
import org.vmemmap.types.Errno;

/** Device memory becomes System RAM and goes again, also when one of its ranges refuses. */
class KmemTest {
  private static final long START = 2 * GIB;
  private static final String DAX = "dax0.0";

  private final DaxMachine m = new DaxMachine().boot();
  private final HotplugSystem h = m.hotplugSystem();

  /** A device of its own region, bound to the driver. */
  private int bind(long start, long size) {
    return m.dax.bindKmem(h, start, size, 0, false);
  }

  /**
   * A device in two parts, not bound.
   *
   * <pre>
   *   2G      +256M    +512M     +768M
   *   | dax0.0 | dax0.1 | dax0.0 |  free
   * </pre>
   */
  private void twoRanges() {
    m.withSoftReserved(START, GIB);
    assertEquals(0, m.dax.registerHmem());
    Bus bus = m.dax.bus();
    DevDax first = m.devDax(DAX);
    assertEquals(0, bus.sizeStore(first, 0));
    assertEquals(0, bus.sizeStore(first, 256 * MIB));
    assertEquals(0, bus.createStore(first.region(), 1));
    assertEquals(0, bus.sizeStore(m.devDax("dax0.1"), 256 * MIB));
    assertEquals(0, bus.sizeStore(first, 512 * MIB));
    assertEquals(2, first.ranges().size());
  }

  private int bindTwoRanges() {
    return m.dax.bindKmem(h, START, 512 * MIB, 0, false);
  }

  private String file(long paddr) {
    return "/sys/devices/system/memory/memory" + paddr / SECTION + "/state";
  }

  private @Nullable String block(long paddr) {
    return h.sysfs().read(file(paddr));
  }

  private int write(long paddr, String state) {
    return h.sysfs().write(file(paddr), state);
  }

  private @Nullable String state() {
    return m.dax.kmemState(DAX);
  }

  private int store(String state) {
    return m.dax.writeKmemState(DAX, state);
  }

  private boolean claimed(long paddr) {
    return m.iomem.show().contains("%08x-".formatted(paddr));
  }

  /** From now on the block at an address does not go offline. */
  private void pin(long paddr) {
    long pfn = m.mm.model().physPfn(paddr);
    h.blocks()
        .registerMemoryNotifier(
            (action, arg) ->
                action == MemoryBlock.MEM_GOING_OFFLINE && arg.startPfn() == pfn
                    ? NotifierChain.NOTIFY_BAD
                    : NotifierChain.NOTIFY_OK);
  }

  private void assertQuiet() {
    assertEquals(List.of(), m.warnings());
    assertFalse(h.locks().held());
  }

  // ---- probe ----

  /**
   * A device of two blocks. Expect its region in the resource tree with System RAM inside that says
   * who brought it, and the blocks offline in a group.
   */
  @Test
  void probe_oneRange_isOfflineSystemRam() {
    assertEquals(0, bind(START, 2 * SECTION));

    assertTrue(
        m.iomem
            .show()
            .endsWith(
                "80000000-8fffffff : dax0.0\n  80000000-8fffffff : System RAM (kmem)"),
        m.iomem.show());
    assertEquals("offline", block(START));
    assertEquals("offline", block(START + SECTION));
    assertEquals("offline", state());
    assertNotNull(h.groups().memoryGroupFindById(0));
    assertEquals(-Errno.EBUSY, bind(START, 2 * SECTION));
    assertQuiet();
  }

  /** Blocks go online by default. Expect the state that the administrator chose. */
  @Test
  void probe_defaultOnline_goesOnline() {
    h.params().mhpSetDefaultOnlineType(Mmop.MMOP_ONLINE_MOVABLE);

    assertEquals(0, bind(START, SECTION));

    assertEquals("online", block(START));
    assertEquals("online_movable", state());
    var group = Objects.requireNonNull(h.groups().memoryGroupFindById(0));
    assertEquals(SECTION / 4096, group.presentMovablePages);
  }

  /**
   * A device that does not begin at a block.
   *
   * <pre>
   *   block     |   16   |   17   |   18   |
   *   device        |--------------|           256 MiB from 2G + 64M
   *   System RAM         |--------|            one whole block
   * </pre>
   *
   * Expect the one block, and a line about the 128 MiB that are lost.
   */
  @Test
  void probe_notAtABlock_isTruncated() {
    assertEquals(0, bind(START + 64 * MIB, 256 * MIB));

    assertNull(block(START));
    assertEquals("offline", block(START + SECTION));
    assertNull(block(START + 2 * SECTION));
    assertTrue(m.log().contains("DAX region truncated by 134217728 bytes due to alignment"));
    assertQuiet();
  }

  /** A device of whole blocks. Expect nothing to be said about alignment. */
  @Test
  void probe_wholeBlocks_saysNothing() {
    assertEquals(0, bind(START, SECTION));
    assertTrue(m.log().stream().noneMatch(line -> line.contains("alignment")));
  }

  /** Two halves of two blocks. Expect -EINVAL, before memory is asked for: no block is whole. */
  @Test
  void probe_noWholeBlock_isRefused() {
    failAll("dev_dax_kmem_probe");
    assertEquals(-Errno.EINVAL, bind(START + 64 * MIB, SECTION));

    assertTrue(
        m.log().contains("mapping0: 0x84000000-0x8bffffff too small after alignment"),
        String.join("\n", m.log()));
    assertTrue(m.log().contains("rejecting DAX region without any memory after alignment"));
    assertNull(state());
    assertNull(h.groups().memoryGroupFindById(0));
    assertQuiet();
  }

  /** Firmware did not say which node the memory is on. Expect -EINVAL rather than a guess. */
  @Test
  void probe_noNode_isRefused() {
    assertEquals(-Errno.EINVAL, m.dax.bindKmem(h, START, SECTION, -1, false));
    assertTrue(m.log().contains("rejecting DAX region with invalid node: -1"));
    assertNull(block(START));
  }

  /** Each allocation of the probe. Expect -ENOMEM and nothing left, and the next try to work. */
  @ParameterizedTest
  @CsvSource({"dev_dax_kmem_probe", "kstrdup", "memory_group_register", "xa_alloc"})
  void probe_allocationFails_leavesNothing(String site) {
    twoRanges();
    String before = m.iomem.show();
    failAll(site);

    assertEquals(-Errno.ENOMEM, bindTwoRanges());
    assertNull(state());
    assertNull(block(START));
    assertNull(h.groups().memoryGroupFindById(0));
    assertEquals(before, m.iomem.show());

    m.machine.faults().disarm();
    assertEquals(0, bindTwoRanges());
    assertEquals("offline", block(START));
    assertQuiet();
  }

  /** Every allocation at a site fails: the driver is offered the device more than once. */
  private void failAll(String site) {
    m.machine.faults().failFrom(1, site::equals);
  }

  /** Somebody else has a page of the device. Expect -EBUSY, a line, and no group. */
  @Test
  void probe_regionTaken_isRefused() {
    m.occupy(START + MIB);

    assertEquals(-Errno.EBUSY, bind(START, SECTION));
    assertTrue(m.log().contains("mapping0: 0x80000000-0x87ffffff could not reserve region"));
    assertNull(h.groups().memoryGroupFindById(0));
    assertNull(block(START));
    assertQuiet();
  }

  /** The memory block cannot be made. Expect the error, and the region given back. */
  @Test
  void probe_addFails_leavesNothing() {
    failAll("device_register");

    assertEquals(-Errno.ENOMEM, bind(START, SECTION));
    assertTrue(m.log().contains("mapping0: 0x80000000-0x87ffffff memory add failed"));
    assertFalse(claimed(START));
    assertNull(h.groups().memoryGroupFindById(0));
    assertQuiet();
  }

  /** Both ranges of a device in two parts. Expect all four blocks. */
  @Test
  void probe_twoRanges_bothAreAdded() {
    twoRanges();
    assertEquals(0, bindTwoRanges());

    assertEquals("offline", block(START));
    assertEquals("offline", block(START + SECTION));
    assertEquals("offline", block(START + 512 * MIB));
    assertEquals("offline", block(START + 512 * MIB + SECTION));
    assertQuiet();
  }

  /** The second range is taken. Expect the first to be used all the same. */
  @Test
  void probe_secondRangeTaken_usesTheFirst() {
    twoRanges();
    m.occupy(START + 512 * MIB);

    assertEquals(0, bindTwoRanges());
    assertEquals("offline", block(START));
    assertNull(block(START + 512 * MIB));
    assertTrue(m.log().contains("mapping1: 0xa0000000-0xafffffff could not reserve region"));
    assertEquals(0, store("unplugged"));
    assertNull(block(START));
    assertQuiet();
  }

  /** The first range is taken. Expect -EBUSY before the second is tried. */
  @Test
  void probe_firstRangeTaken_isRefused() {
    twoRanges();
    m.occupy(START);

    assertEquals(-Errno.EBUSY, bindTwoRanges());
    assertNull(block(START + 512 * MIB));
    assertFalse(claimed(START + 512 * MIB));
  }

  /** The second range cannot be added. Expect the first to stay, and only the second's region to go. */
  @Test
  void probe_secondRangeNotAdded_usesTheFirst() {
    twoRanges();
    m.failNth(3, "device_register");

    assertEquals(0, bindTwoRanges());
    assertEquals("offline", block(START));
    assertNull(block(START + 512 * MIB));
    assertTrue(claimed(START));
    assertFalse(claimed(START + 512 * MIB));
    assertTrue(m.log().contains("mapping1: 0xa0000000-0xafffffff memory add failed"));
    assertEquals(0, m.dax.unbindKmem(START));
    assertFalse(claimed(START));
    assertQuiet();
  }

  /** The first range cannot be added. Expect the error and both regions given back. */
  @Test
  void probe_firstRangeNotAdded_isRefused() {
    twoRanges();
    failAll("device_register");

    assertEquals(-Errno.ENOMEM, bindTwoRanges());
    assertFalse(claimed(START));
    assertFalse(claimed(START + 512 * MIB));
    assertNull(h.groups().memoryGroupFindById(0));
    assertQuiet();
  }

  /** The device's wish for a memmap of its own. Expect an altmap for each block, or none. */
  @ParameterizedTest
  @CsvSource({"true, 2", "false, 0"})
  void probe_memmapOnMemory_followsTheDevice(boolean wanted, int altmaps) {
    assertEquals(0, h.params().setMemmapMode("Y"));
    assertEquals(0, m.dax.bindKmem(h, START, 2 * SECTION, 0, wanted));
    assertEquals(altmaps, h.add().altmapsInUse());
  }

  // ---- the file "state" ----

  /** Unplugged, online, unplugged again. Expect the blocks to come and go with the state. */
  @Test
  void state_unpluggedAndBack_followsTheFile() {
    assertEquals(0, bind(START, 2 * SECTION));

    assertEquals(0, store("unplugged\n"));
    assertEquals("unplugged", state());
    assertNull(block(START));
    assertFalse(claimed(START));

    assertEquals(0, store("online_movable"));
    assertEquals("online_movable", state());
    assertEquals("online", block(START));
    assertEquals("online", block(START + SECTION));
    assertTrue(claimed(START));

    assertEquals(0, store("online_movable"));
    assertEquals(0, store("unplugged"));
    assertNull(block(START + SECTION));
    assertEquals(0, store("unplugged"));
    assertQuiet();
  }

  /**
   * Wishes that are refused. Expect -EINVAL for "offline" and for nonsense, -EBUSY for going online
   * from any state but unplugged, -ENOENT for a device that is not bound.
   */
  @Test
  void state_otherWishes_areRefused() {
    assertEquals(-Errno.ENOENT, store("online"));
    assertNull(state());
    assertEquals(0, bind(START, SECTION));

    assertEquals(-Errno.EINVAL, store("offline"));
    assertEquals(-Errno.EINVAL, store("sideways"));
    assertEquals(-Errno.EBUSY, store("online"));
    assertEquals(-Errno.ENOENT, m.dax.writeKmemState("dax7.7", "online"));
    assertNull(m.dax.kmemState("dax7.7"));
    assertEquals("offline", state());
    assertEquals("offline", block(START));
  }

  /** The second of two blocks does not go offline. Expect its error, and both as they were. */
  @Test
  void state_unplugRefused_leavesItOnline() {
    assertEquals(0, bind(START, 2 * SECTION));
    assertEquals(0, store("unplugged"));
    assertEquals(0, store("online_movable"));
    pin(START + SECTION);

    assertEquals(-Errno.EPERM, store("unplugged"));
    assertEquals("online_movable", state());
    assertEquals("online", block(START));
    assertEquals("online", block(START + SECTION));
    assertTrue(claimed(START));
    assertTrue(m.log().contains("hotremove failed, device left online: -1"));
    assertQuiet();
  }

  /** No memory for the list of ranges. Expect -ENOMEM and all as it was. */
  @Test
  void state_unplugWithoutMemory_isRefused() {
    assertEquals(0, bind(START, SECTION));
    m.failNth(1, "dax_kmem_do_hotremove");

    assertEquals(-Errno.ENOMEM, store("unplugged"));
    assertEquals("offline", state());
    assertEquals("offline", block(START));
  }

  /** Going online fails, at the region or at the block. Expect the device to stay unplugged. */
  @Test
  void state_onlineFails_staysUnplugged() {
    assertEquals(0, bind(START, SECTION));
    assertEquals(0, store("unplugged"));

    m.failNth(1, "alloc_resource");
    assertEquals(-Errno.EBUSY, store("online"));
    assertEquals("unplugged", state());
    m.failNth(1, "device_register");
    assertEquals(-Errno.ENOMEM, store("online"));
    assertEquals("unplugged", state());
    assertFalse(claimed(START));

    assertEquals(0, store("online_kernel"));
    assertEquals("online_kernel", state());
    assertQuiet();
  }

  // ---- remove ----

  /** The driver is unbound while all is offline. Expect nothing to be left, the group included. */
  @Test
  void remove_offline_leavesNothing() {
    String before = m.iomem.show();
    assertEquals(0, bind(START, 2 * SECTION));

    assertEquals(0, m.dax.unbindKmem(START));
    assertNull(block(START));
    assertNull(block(START + SECTION));
    assertNull(state());
    assertNull(h.groups().memoryGroupFindById(0));
    assertTrue(m.log().stream().noneMatch(line -> line.contains("stuck")));
    assertEquals(before, m.iomem.show());
    assertQuiet();
  }

  /**
   * One of two ranges is online when the driver is unbound. Expect that one to stay until reboot with
   * its region, the other to go, and the group to stay.
   */
  @Test
  void remove_oneRangeOnline_staysUntilReboot() {
    twoRanges();
    assertEquals(0, bindTwoRanges());
    assertEquals(0, write(START, "online_movable"));

    assertEquals(0, m.dax.unbindKmem(START));
    assertEquals("online", block(START));
    assertNull(block(START + 512 * MIB));
    assertTrue(claimed(START));
    assertFalse(claimed(START + 512 * MIB));
    assertTrue(m.log().contains("mapping0: 0x80000000-0x8fffffff stuck online until reboot"));
    assertTrue(m.log().contains("Hotplug regions stuck online until reboot"));
    assertNotNull(h.groups().memoryGroupFindById(0));
    assertNull(state());
  }

  /** The driver is unbound after unplugging. Expect no range to be looked for. */
  @Test
  void remove_unplugged_isQuiet() {
    assertEquals(0, bind(START, SECTION));
    assertEquals(0, store("unplugged"));

    assertEquals(0, m.dax.unbindKmem(START));
    assertTrue(m.log().stream().noneMatch(line -> line.contains("stuck")));
    assertNull(h.groups().memoryGroupFindById(0));
    assertQuiet();
  }

  /** No device there, or none that is bound. Expect -ENODEV. */
  @Test
  void unbindKmem_notBound_isRefused() {
    assertEquals(-Errno.ENODEV, m.dax.unbindKmem(START));
    assertEquals(0, bind(START, SECTION));
    assertEquals(-Errno.ENODEV, m.dax.unbindKmem(START + SECTION));
    assertEquals(0, m.dax.unbindKmem(START));
    assertEquals(-Errno.ENODEV, m.dax.unbindKmem(START));
  }

  /**
   * The first device with another size, and a second one, which the driver is offered when it
   * appears. Expect both to be bound, with a memmap where it was asked for.
   */
  @Test
  void bindKmem_otherSize_isResized() {
    assertEquals(0, bind(START, 2 * SECTION));
    assertEquals(0, m.dax.unbindKmem(START));

    assertEquals(0, bind(START, SECTION));
    assertEquals("offline", block(START));
    assertNull(block(START + SECTION));
    assertEquals(0, h.params().setMemmapMode("Y"));
    assertEquals(0, m.dax.bindKmem(h, START + 4 * SECTION, SECTION, 0, true));
    assertEquals("offline", block(START + 4 * SECTION));
    assertEquals("offline", m.dax.kmemState("dax1.0"));
    assertEquals(1, h.add().altmapsInUse());
  }

  /** The type of such memory is made once. Expect -ENOMEM without it, and no question afterwards. */
  @Test
  void probe_memoryType_isMadeOnce() {
    failAll("kmem_find_alloc_memory_type");
    assertEquals(-Errno.ENOMEM, bind(START, SECTION));
    assertNull(block(START));
    m.machine.faults().disarm();
    assertEquals(0, bind(START, SECTION));

    failAll("kmem_find_alloc_memory_type");
    assertEquals(0, bind(START + 4 * SECTION, SECTION));
    assertEquals("offline", block(START + 4 * SECTION));
  }

  /**
   * No number, region or device for the memory, or no note to give one back. Expect -ENOMEM, and the
   * number and the place to be free again.
   */
  @ParameterizedTest
  @CsvSource({
    "memregion_alloc, 1",
    "alloc_dax_region, 1",
    "__devm_add_action, 1",
    "__devm_add_action, 2",
    "__devm_create_dev_dax, 1"
  })
  void bindKmem_noDevice_isRefused(String site, int nth) {
    m.failNth(nth, site);
    assertEquals(-Errno.ENOMEM, bind(START, SECTION));
    assertNull(block(START));
    m.machine.faults().disarm();

    assertEquals(0, bind(START, SECTION));
    assertEquals("offline", state());
    assertQuiet();
  }

  /** A device that gets more than its region has. Expect -ENOSPC, and no block of it. */
  @Test
  void bindKmem_tooLarge_isRefused() {
    assertEquals(0, bind(START, SECTION));
    assertEquals(0, m.dax.unbindKmem(START));

    assertEquals(-Errno.ENOSPC, bind(START, 2 * SECTION));
    assertNull(block(START));
  }

  /** The driver's name, and the group that a device's memory is in. Expect the whole device there. */
  @Test
  void probe_group_isAsLargeAsTheDevice() {
    assertEquals(0, bind(START, 2 * SECTION));

    var group = Objects.requireNonNull(h.groups().memoryGroupFindById(0));
    assertEquals(0, group.presentMovablePages);
    assertEquals("kmem", new Kmem(m.mm, m.iomem, h).name());
    assertEquals(DaxDeviceDriver.Type.DAXDRV_KMEM_TYPE, new Kmem(m.mm, m.iomem, h).type());
    assertEquals(0, m.dax.unbindKmem(START));
    assertNull(h.groups().memoryGroupFindById(0));
  }

  /** The state of a device that the driver has left. Expect -ENOENT, and none to show. */
  @Test
  void state_unbound_isGone() {
    assertEquals(0, bind(START, SECTION));
    assertEquals(0, m.dax.unbindKmem(START));
    assertEquals(-Errno.ENOENT, store("online"));
    assertNull(state());
  }

  /** Both ranges go online again, and the first cannot. Expect both regions given back. */
  @Test
  void state_onlineFailsAtTheFirst_givesBothBack() {
    twoRanges();
    assertEquals(0, bindTwoRanges());
    assertEquals(0, store("unplugged"));
    failAll("device_register");

    assertEquals(-Errno.ENOMEM, store("online"));

    assertEquals("unplugged", state());
    assertFalse(claimed(START));
    assertFalse(claimed(START + 512 * MIB));
  }

  /**
   * Two regions of soft-reserved memory, of which one is asked for. Expect the driver to take the
   * other as well, when it is loaded.
   */
  @Test
  void bindKmem_driverLoaded_takesAllThatIsIts() {
    m.withSoftReserved(START, SECTION).withSoftReserved(START + 4 * SECTION, SECTION);
    assertEquals(0, m.dax.registerHmem());

    assertEquals(0, bind(START, SECTION));

    assertEquals("offline", m.dax.kmemState(DAX));
    assertEquals("offline", m.dax.kmemState("dax1.0"));
    assertEquals("offline", block(START + 4 * SECTION));
  }

  /** Soft-reserved memory is found when the driver is there. Expect it to be taken unasked. */
  @Test
  void bindKmem_deviceAppearsLater_isTaken() {
    assertEquals(0, bind(START, SECTION));
    m.withSoftReserved(START + 4 * SECTION, SECTION);

    assertEquals(0, m.dax.registerHmem());

    assertEquals("offline", m.dax.kmemState("dax1.0"));
    assertEquals("offline", block(START + 4 * SECTION));
  }

  /** A device that is no driver's of RAM by its type. Expect it to be taken by its name. */
  @Test
  void bindKmem_deviceOfAnotherType_isTakenByName() {
    var range = new org.vmemmap.types.DevPagemap.Range(START, START + SECTION - 1);
    assertEquals(0, m.dax.bindGiven(DAX, range, 2 * MIB, range, null, 0));
    assertEquals(-Errno.EBUSY, bind(START, SECTION));
    assertEquals(0, m.dax.unbind(DAX));

    assertEquals(0, bind(START, SECTION));

    assertEquals("offline", state());
    assertEquals("offline", block(START));
  }
}
