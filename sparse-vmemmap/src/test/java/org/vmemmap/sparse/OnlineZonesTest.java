// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.sparse.HotplugMachine.BLOCK;
import static org.vmemmap.sparse.HotplugMachine.START;
import static org.vmemmap.sparse.MemoryAdd.MHP_NID_IS_MGID;
import static org.vmemmap.sparse.MemoryAdd.MHP_NONE;
import static org.vmemmap.sparse.SmallMachine.SECTION;

import org.junit.jupiter.api.Test;
import org.vmemmap.types.Errno;

/** Which zone a block goes online in, the groups that this depends on, and the files in sysfs. */
class OnlineZonesTest {
  private final HotplugMachine k = new HotplugMachine();

  private String zones(long block) {
    return String.valueOf(k.h.sysfs().read(k.file(block) + "valid_zones"));
  }

  private void add(int nid, long block, long count, int flags) {
    assertEquals(0, k.h.add().addMemory(nid, START + block * BLOCK, count * BLOCK, flags));
  }

  /** Three blocks, none online. Expect what is next to a zone to follow it, by default. */
  @Test
  void defaultZone_nextToAZone_isThatZone() {
    add(0, 0, 3, MHP_NONE);
    assertEquals("Normal Movable", zones(1));
    assertEquals(0, k.write(0, "online_movable"));
    assertEquals(0, k.write(2, "online_movable"));
    assertEquals("Movable", zones(0));
    assertEquals("Movable Normal", zones(1));
    assertEquals(0, k.write(1, "online"));
    assertEquals("Movable", zones(1));
  }

  /** The parameter movable_node. Expect Movable when no zone is near. */
  @Test
  void defaultZone_movableNode_isMovable() {
    k.h.params().cmdlineParseMovableNode();
    add(0, 0, 1, MHP_NONE);
    assertEquals("Movable Normal", zones(0));
  }

  /** Boot memory of 3 blocks allows 3 times as much movable memory. Expect Normal behind it. */
  @Test
  void autoMovable_withinTheRatio_isMovable() {
    assertEquals(0, k.h.params().setOnlinePolicy("auto-movable"));
    assertEquals(0, k.h.params().setAutoMovableRatio("100"));
    add(0, 0, 4, MHP_NONE);
    for (int block = 0; block < 4; block++) {
      assertEquals(0, k.write(block, "online"));
    }
    assertEquals("Movable", zones(0));
    assertEquals("Normal", zones(3));
    k.h.params().setAutoMovableRatio("0");
    add(0, 4, 1, MHP_NONE);
    assertEquals("Normal Movable", zones(4));
  }

  /** Another node has no boot memory. Expect Normal unless nodes are not looked at. */
  @Test
  void autoMovable_numaAware_looksAtTheNode() {
    k.h.params().setOnlinePolicy("auto-movable");
    add(1, 0, 1, MHP_NONE);
    assertEquals("Normal Movable", zones(0));
    assertEquals(0, k.h.params().setAutoMovableNumaAware("0"));
    assertEquals("Movable Normal", zones(0));
  }

  /** A static group of 4 blocks, too many for the ratio. Expect none of it movable. */
  @Test
  void autoMovable_staticGroup_isOneUnit() {
    k.h.params().setOnlinePolicy("auto-movable");
    k.h.params().setAutoMovableRatio("100");
    int mgid = k.h.groups().memoryGroupRegisterStatic(0, 4 * SECTION);
    add(mgid, 0, 4, MHP_NID_IS_MGID);
    assertEquals("Normal Movable", zones(0));
    assertEquals(-Errno.EBUSY, k.h.groups().memoryGroupUnregister(mgid));
    assertEquals(0, k.write(0, "online"));
    k.h.params().setAutoMovableRatio("1000");
    assertEquals("Normal Movable", zones(1));
    assertEquals(0, k.write(0, "offline"));
    assertEquals("Movable Normal", zones(1));
    assertEquals(0, k.remove(0, 4));
    assertEquals(0, k.h.groups().memoryGroupUnregister(mgid));
    assertEquals(-Errno.EINVAL, k.h.groups().memoryGroupUnregister(mgid));
  }

  /** A dynamic group with units of 2 blocks. Expect a unit to be of one kind. */
  @Test
  void autoMovable_dynamicGroup_looksAtTheUnit() {
    k.h.params().setOnlinePolicy("auto-movable");
    int mgid = k.h.groups().memoryGroupRegisterDynamic(0, 2 * SECTION);
    add(mgid, 0, 4, MHP_NID_IS_MGID);
    assertEquals(0, k.write(0, "online_kernel"));
    assertEquals("Normal Movable", zones(1));
    assertEquals("Movable Normal", zones(2));
    assertEquals(0, k.write(2, "online"));
    assertEquals("Movable", zones(2));
    int other = k.h.groups().memoryGroupRegisterDynamic(0, SECTION);
    add(other, 4, 1, MHP_NID_IS_MGID);
    assertEquals("Movable Normal", zones(4));
  }

  /** Arguments and allocations of groups that fail. Expect -EINVAL and -ENOMEM. */
  @Test
  void memoryGroupRegister_wrongOrShort_isRefused() {
    assertEquals(-Errno.EINVAL, k.h.groups().memoryGroupRegisterStatic(0, 0));
    assertEquals(-Errno.EINVAL, k.h.groups().memoryGroupRegisterStatic(-1, SECTION));
    assertEquals(-Errno.EINVAL, k.h.groups().memoryGroupRegisterDynamic(0, SECTION / 2));
    assertEquals(-Errno.EINVAL, k.h.groups().memoryGroupRegisterDynamic(0, 3 * SECTION));
    for (String site : new String[] {"memory_group_register", "xa_alloc"}) {
      k.m.failAll(site);
      assertEquals(-Errno.ENOMEM, k.h.groups().memoryGroupRegisterStatic(0, SECTION));
      k.m.machine.faults().disarm();
    }
    assertEquals(0, k.h.groups().memoryGroupRegisterStatic(0, SECTION));
  }

  /** The other files. Expect the kernel's words and errors. */
  @Test
  void sysfs_files_answerAsTheKernel() {
    String root = "/sys/devices/system/memory/";
    assertEquals("8000000", k.h.sysfs().read(root + "block_size_bytes"));
    assertEquals("offline", k.h.sysfs().read(root + "auto_online_blocks"));
    assertEquals(-Errno.EINVAL, k.h.sysfs().write(root + "auto_online_blocks", "yes"));
    assertEquals(0, k.h.sysfs().write(root + "auto_online_blocks", "online_movable"));
    add(0, 0, 1, MHP_NONE);
    assertEquals("online", k.state(0));
    assertEquals("Movable", zones(0));
    assertEquals("00000008", k.h.sysfs().read(k.file(0) + "phys_index"));
    assertEquals("1", k.h.sysfs().read(k.file(0) + "removable"));
    assertEquals("0", k.h.sysfs().read(k.file(0) + "phys_device"));
    assertEquals(-Errno.EINVAL, k.write(0, "online"));
    assertEquals(-Errno.EINVAL, k.write(0, "gone"));
    assertEquals(0, k.h.sysfs().write(k.file(0) + "online", "1"));
    assertEquals(0, k.h.sysfs().write(k.file(0) + "online", "0"));
    assertEquals("0", k.h.sysfs().read(k.file(0) + "online"));
    assertEquals(-Errno.EINVAL, k.h.sysfs().write(k.file(0) + "online", "2"));
    assertEquals(-Errno.EACCES, k.h.sysfs().write(k.file(0) + "removable", "2"));
    assertEquals(-Errno.ENOENT, k.h.sysfs().write(k.file(0) + "nothing", "2"));
    assertEquals(-Errno.ENOENT, k.h.sysfs().write(k.file(5) + "state", "online"));
    assertNull(k.h.sysfs().read(k.file(0) + "nothing"));
  }

  /** Parameters with wrong values. Expect -EINVAL; forced mode says what it wastes. */
  @Test
  void params_values_areChecked() {
    assertEquals(-Errno.EINVAL, k.h.params().setMemmapMode("perhaps"));
    assertEquals(-Errno.EINVAL, k.h.params().setMemmapMode(null));
    assertEquals(-Errno.EINVAL, k.h.params().setOnlinePolicy("any"));
    assertEquals(-Errno.EINVAL, k.h.params().setAutoMovableRatio("-1"));
    assertEquals(-Errno.EINVAL, k.h.params().setAutoMovableNumaAware("x"));
    assertEquals(0, k.h.params().setupMemhpDefaultState("nothing"));
    assertEquals("N", k.h.params().getMemmapMode());
    assertEquals(0, k.h.params().setMemmapMode("on"));
    assertEquals("Y", k.h.params().getMemmapMode());
    assertEquals(0, k.h.params().setMemmapMode("force"));
    assertEquals("force", k.h.params().getMemmapMode());
    assertTrue(
        k.m.log().contains("Memory hotplug will waste 0 pages in each memory block"));
    assertEquals(0, k.h.params().setMemmapMode("off"));
  }
}
