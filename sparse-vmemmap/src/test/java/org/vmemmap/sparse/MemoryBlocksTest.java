// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.sparse.HotplugMachine.BLOCK;
import static org.vmemmap.sparse.HotplugMachine.FIRST_BLOCK;
import static org.vmemmap.sparse.HotplugMachine.START;
import static org.vmemmap.sparse.MemoryAdd.MHP_MEMMAP_ON_MEMORY;
import static org.vmemmap.sparse.MemoryAdd.MHP_MERGE_RESOURCE;
import static org.vmemmap.sparse.MemoryAdd.MHP_NONE;
import static org.vmemmap.sparse.SmallMachine.MIB;
import static org.vmemmap.sparse.SmallMachine.SECTION;
import static org.vmemmap.sparse.SmallMachine.config;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.sparse.SmallMachine.Ram;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Resource;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.ZoneType;

/** The devices of memory and of nodes, and what adding and removing makes of them. */
class MemoryBlocksTest {
  private final HotplugMachine k = new HotplugMachine();

  private MemoryBlocks blocks() {
    return k.h.blocks();
  }

  /** The hotplug objects of a machine, not initialised. */
  private static HotplugSystem system(SmallMachine m, long blockSize) {
    return new HotplugSystem(
        m.mm,
        m.memblock,
        m.pageAlloc,
        m.slab,
        m.vmemmap,
        m.mmInit,
        m.hotplug,
        new IomemResource(m.mm),
        blockSize);
  }

  private MemoryBlock get(long id) {
    MemoryBlock mem = Objects.requireNonNull(blocks().memoryBlockGet(id));
    blocks().memoryBlockPut(mem);
    return mem;
  }

  // ---- boot ----

  /** Block sizes that are no power of two, or less than a section. Expect a panic with the size. */
  @Test
  void memoryDevInit_blockSize_isChecked() {
    SmallMachine m = SmallMachine.small().boot();
    for (long size : new long[] {3 * BLOCK, BLOCK / 2}) {
      KernelPanic panic =
          assertThrows(KernelPanic.class, () -> system(m, size).driverInit());
      assertEquals(
          "Memory block size not suitable: 0x" + Long.toHexString(size), panic.getMessage());
    }
    system(m, BLOCK).driverInit();
  }

  /** A device of boot cannot be registered. Expect the panic with the error. */
  @Test
  void memoryDevInit_noDevice_panics() {
    SmallMachine m = SmallMachine.small().boot();
    m.failAll("device_register");

    KernelPanic panic = assertThrows(KernelPanic.class, () -> system(m, BLOCK).driverInit());

    assertEquals(
        "memory_dev_init() failed to add memory block: -12", panic.getMessage());
  }

  /**
   * Blocks of two sections.
   *
   * <pre>
   *   section  0   1  |  2   3  |  4 ... 7  |  8
   *   RAM     |#######|###|     |           |###|
   *   block       0        1                  4
   * </pre>
   *
   * Expect one block for each that RAM touches, online, with the zone that alone covers it.
   */
  @Test
  void memoryDevInit_blocksOfTwoSections_oneForEachPair() {
    SmallMachine m =
        new SmallMachine(
                config(), new Ram(0, 384 * MIB, 0), new Ram(1024 * MIB, 1152 * MIB, 0))
            .boot();
    HotplugSystem h = system(m, 2 * BLOCK);
    h.driverInit();

    assertEquals(List.of(0L, 1L, 4L), h.blocks().blockIds());
    List<MemoryBlock> all = h.blocks().all();
    assertEquals(8, all.get(2).startSectionNr());
    assertEquals(MemoryBlock.MEM_ONLINE, all.get(2).state());
    assertEquals(1, all.get(0).refs());
    assertEquals(0, all.get(1).nid());
    assertNull(all.get(0).zone());
    assertSame(m.zone(0, ZoneType.ZONE_DMA32), all.get(1).zone());
    assertEquals(3, h.blocks().unreleased());
    assertEquals(List.of(0L, 2L, 8L), List.copyOf(h.nodes().links(0)));
    assertEquals("none", h.sysfs().read("/sys/devices/system/memory/memory0/valid_zones"));
    assertEquals(
        "00000004", h.sysfs().read("/sys/devices/system/memory/memory4/phys_index"));
  }

  /** A block of two sections is added. Expect both to go online, offline and away with it. */
  @Test
  void memoryBlock_twoSections_comeAndGoTogether() {
    SmallMachine m = SmallMachine.small().boot();
    HotplugSystem h = system(m, 2 * BLOCK);
    h.driverInit();
    assertEquals(0, h.add().addMemory(0, START, 2 * BLOCK, MHP_NONE));
    String state = "/sys/devices/system/memory/memory4/state";

    assertEquals(0, h.sysfs().write(state, "online_movable"));
    assertEquals(2 * SECTION, m.zone(0, ZoneType.ZONE_MOVABLE).presentPages);
    assertEquals(0, h.sysfs().write(state, "offline"));
    assertEquals(0, m.zone(0, ZoneType.ZONE_MOVABLE).presentPages);
    assertEquals(0, h.add().removeMemory(START, 2 * BLOCK));

    assertEquals(List.of(0L, 1L), h.blocks().blockIds());
    assertEquals(List.of(), m.warnings());
  }

  /** Memory of two nodes in turns. Expect each node's links to end where its memory does. */
  @Test
  void registerMemoryBlocksUnderNodes_nodesInTurns_linkTheirOwn() {
    SmallMachine m =
        new SmallMachine(
                config(),
                new Ram(0, 128 * MIB, 0),
                new Ram(128 * MIB, 256 * MIB, 1),
                new Ram(256 * MIB, 384 * MIB, 0))
            .boot();
    HotplugSystem h = system(m, BLOCK);

    h.driverInit();

    assertEquals(Set.of(0L, 2L), h.nodes().links(0));
    assertEquals(Set.of(1L), h.nodes().links(1));
  }

  /** A block with the memory of two nodes. Expect both linked to it, the second's number, no zone. */
  @Test
  void memoryBlockAddNidEarly_twoNodes_haveNoZone() {
    SmallMachine m =
        new SmallMachine(config(), new Ram(0, 128 * MIB, 0), new Ram(128 * MIB, 512 * MIB, 1))
            .boot();
    HotplugSystem h = system(m, 2 * BLOCK);
    h.driverInit();

    MemoryBlock both = h.blocks().all().get(0);
    assertEquals(1, both.nid());
    assertNull(both.zone());
    assertEquals(Set.of(0L), h.nodes().links(0));
    assertEquals(Set.of(0L, 2L), h.nodes().links(1));
    assertSame(m.zone(1, ZoneType.ZONE_DMA32), h.blocks().all().get(1).zone());
    assertEquals(Set.of(0, 1), h.online().nodeStatesMemory());
    assertEquals(Set.of(0, 1), h.online().nodeStatesNormalMemory());
    assertEquals(Set.of(), h.nodes().links(5));
  }

  /** A boot block in two zones goes offline. Expect -EINVAL: it is in no zone. */
  @Test
  void memoryBlockOffline_severalZones_isInvalid() {
    String state = "/sys/devices/system/memory/memory0/state";

    assertEquals(-Errno.EINVAL, k.h.sysfs().write(state, "offline"));
    assertEquals("online", k.h.sysfs().read(state));
  }

  // ---- states ----

  /** Poisoned pages in an offline block. Expect -EHWPOISON and the block offline. */
  @Test
  void memoryBlockOnline_poisoned_isRefused() {
    k.add(0, 1, MHP_NONE);
    get(FIRST_BLOCK).nrHwpoison = 1;

    assertEquals(-Errno.EHWPOISON, k.write(0, "online"));
    assertEquals("offline", k.state(0));
    get(FIRST_BLOCK).nrHwpoison = 0;
    assertEquals(0, k.write(0, "online"));
  }

  /** A device that is so already. Expect 1; and the state machine to refuse a wrong start. */
  @Test
  void deviceOnline_already_returnsOne() {
    k.add(0, 1, MHP_NONE);
    MemoryBlock mem = get(FIRST_BLOCK);
    k.h.locks().lockDeviceHotplug();
    assertEquals(1, blocks().deviceOffline(mem));
    assertEquals(0, blocks().deviceOnline(mem, Mmop.MMOP_ONLINE_MOVABLE));
    assertEquals(1, blocks().deviceOnline(mem, Mmop.MMOP_ONLINE));
    assertSame(k.m.zone(0, ZoneType.ZONE_MOVABLE), mem.zone());

    // A block that is in the state already, of which only the device does not know.
    mem.devOffline = true;
    assertEquals(0, blocks().deviceOnline(mem, Mmop.MMOP_ONLINE));
    mem.state = MemoryBlock.MEM_GOING_OFFLINE;
    assertEquals(-Errno.EINVAL, blocks().deviceOffline(mem));
    mem.devOffline = true;
    assertEquals(-Errno.EINVAL, blocks().deviceOnline(mem, Mmop.MMOP_ONLINE));
    mem.state = MemoryBlock.MEM_OFFLINE;
    mem.devOffline = false;
    assertEquals(0, blocks().deviceOffline(mem));
    assertTrue(mem.devOffline);
  }

  /** Going offline, as notifiers see it. Expect the word of that state. */
  @Test
  void stateShow_whileGoing_saysSo() {
    k.add(0, 1, MHP_NONE);
    k.write(0, "online_movable");
    List<String> seen = new ArrayList<>();
    blocks()
        .registerMemoryNotifier(
            (action, arg) -> {
              seen.add(k.state(0));
              return NotifierChain.NOTIFY_OK;
            });

    k.write(0, "offline");

    assertEquals(List.of("going-offline", "going-offline"), seen);
    assertEquals("offline", k.state(0));
  }

  /** The type of one turn. Expect the next plain "online" to choose the zone anew. */
  @Test
  void memorySubsysOnline_type_isForOneTurn() {
    k.add(0, 1, MHP_NONE);
    k.write(0, "online_movable");
    k.write(0, "offline");

    assertEquals(0, k.h.sysfs().write(k.file(0) + "online", "1"));

    assertEquals("Normal", k.h.sysfs().read(k.file(0) + "valid_zones"));
  }

  /** Without device_hotplug_lock. Expect the name of who missed it. */
  @Test
  void memoryBlocks_withoutLock_areABug() {
    k.add(0, 1, MHP_NONE);
    MemoryBlock mem = get(FIRST_BLOCK);

    assertLock("device_online", () -> blocks().deviceOnline(mem, Mmop.MMOP_ONLINE));
    assertLock("device_offline", () -> blocks().deviceOffline(mem));
    assertLock(
        "create_memory_block_devices",
        () -> blocks().createMemoryBlockDevices(START, BLOCK, 0, null, null));
    assertLock(
        "remove_memory_block_devices",
        () -> blocks().removeMemoryBlockDevices(START, BLOCK, k.h.nodes()));
    assertLock("try_offline_node", () -> k.h.add().tryOfflineNode(1));
    assertLock("try_remove_memory", () -> k.h.add().removeMemory0(START, BLOCK));
  }

  private static void assertLock(String who, Runnable action) {
    KernelBug bug = assertThrows(KernelBug.class, action::run);
    assertEquals("kernel BUG at " + who + ": device_hotplug_lock is not held", bug.getMessage());
  }

  /** Locks that are not held are given back, or taken twice. Expect a bug for each. */
  @Test
  void hotplugLocks_wrongOrder_areBugs() {
    HotplugLocks locks = k.h.locks();
    assertThrows(KernelBug.class, locks::unlockDeviceHotplug);
    assertThrows(KernelBug.class, locks::memHotplugDone);
    assertFalse(locks.held());
    locks.memHotplugBegin();
    assertTrue(locks.held());
    assertThrows(KernelBug.class, locks::memHotplugBegin);
    locks.memHotplugDone();
    locks.lockDeviceHotplug();
    assertTrue(locks.held());
    locks.unlockDeviceHotplug();
    assertFalse(locks.held());
  }

  // ---- devices come and go ----

  private int create(long start, long size) {
    k.h.locks().lockDeviceHotplug();
    int rc = blocks().createMemoryBlockDevices(start, size, 0, null, null);
    k.h.locks().unlockDeviceHotplug();
    return rc;
  }

  private void remove(long start, long size) {
    k.h.locks().lockDeviceHotplug();
    blocks().removeMemoryBlockDevices(start, size, k.h.nodes());
    k.h.locks().unlockDeviceHotplug();
  }

  /** The third of three exists. Expect -EEXIST, and the two before it gone again. */
  @Test
  void createMemoryBlockDevices_oneExists_undoesAll() {
    assertEquals(0, create(START + 2 * BLOCK, BLOCK));
    List<Long> before = blocks().blockIds();
    long slab = k.m.owned(Owner.SLAB);

    assertEquals(-Errno.EEXIST, create(START, 3 * BLOCK));

    assertEquals(before, blocks().blockIds());
    assertEquals(slab, k.m.owned(Owner.SLAB));
    assertEquals(4, blocks().unreleased());
    assertEquals(1, get(FIRST_BLOCK + 2).refs());
  }

  /** Ranges that are no blocks. Expect the warnings and nothing made or removed. */
  @Test
  void memoryBlockDevices_misaligned_warn() {
    assertEquals(-Errno.EINVAL, create(START + BLOCK / 2, BLOCK));
    assertEquals(-Errno.EINVAL, create(START, BLOCK / 2));
    assertEquals(List.of("create_memory_block_devices: misaligned"), k.m.warnings());
    assertEquals(0, create(START, BLOCK));

    remove(START, BLOCK + 4096);
    assertEquals("remove_memory_block_devices: misaligned", k.m.warnings().getLast());
    assertNotNull(blocks().memoryBlockGet(FIRST_BLOCK));
  }

  /** One block of two is not there. Expect the warning and the other one gone. */
  @Test
  void removeMemoryBlockDevices_missing_warns() {
    create(START + BLOCK, BLOCK);

    remove(START, 2 * BLOCK);

    assertEquals(List.of("remove_memory_block_devices: !mem"), k.m.warnings());
    assertEquals(List.of(0L, 1L, 2L), blocks().blockIds());
    assertEquals(3, blocks().unreleased());
  }

  /** Somebody holds a reference while the device goes. Expect it released with the last. */
  @Test
  void memoryBlockPut_last_releases() {
    create(START, BLOCK);
    MemoryBlock mem = Objects.requireNonNull(blocks().memoryBlockGet(FIRST_BLOCK));
    assertEquals(2, mem.refs());

    remove(START, BLOCK);
    assertEquals(4, blocks().unreleased());
    assertEquals(1, mem.refs());
    mem.altmap = new VmemAltmap();
    blocks().memoryBlockPut(mem);

    assertEquals(3, blocks().unreleased());
    assertEquals(List.of("memory_block_release: mem->altmap"), k.m.warnings());
    assertNull(blocks().memoryBlockGet(FIRST_BLOCK));
  }

  /** Blocks in a range of bytes. Expect those that it touches, up to one that says stop. */
  @Test
  void walkMemoryBlocks_range_visitsWhatItTouches() {
    List<Long> seen = new ArrayList<>();

    assertEquals(0, blocks().walkMemoryBlocks(BLOCK, 0, mem -> 7));
    assertEquals(
        0,
        blocks()
            .walkMemoryBlocks(
                BLOCK - 1,
                2,
                mem -> {
                  seen.add(mem.startSectionNr());
                  return 0;
                }));
    assertEquals(List.of(0L, 1L), seen);
    seen.clear();
    int stopped =
        blocks()
            .walkMemoryBlocks(
                0,
                20 * BLOCK,
                mem -> {
                  seen.add(mem.startSectionNr());
                  return mem.startSectionNr() == 1 ? -5 : 0;
                });
    assertEquals(-5, stopped);
    assertEquals(List.of(0L, 1L), seen);
    assertEquals(1, blocks().all().get(1).refs());
  }

  // ---- nodes ----

  /** A node without memory comes, for a CPU say, and goes. Expect it online with a device. */
  @Test
  void tryOnlineNode_new_comesAndGoes() {
    assertEquals(0, k.h.nodes().made());
    assertEquals(1, k.h.add().tryOnlineNode(3));
    assertEquals(1, k.h.nodes().made());
    assertTrue(k.m.mm.nodes().nodeOnline(3));
    assertEquals(Set.of(0, 3), k.h.nodes().registered());
    assertEquals(0, k.h.add().tryOnlineNode(3));
    assertFalse(k.h.locks().held());

    k.h.locks().lockDeviceHotplug();
    k.h.add().tryOfflineNode(3);
    k.h.locks().unlockDeviceHotplug();
    assertFalse(k.m.mm.nodes().nodeOnline(3));
    assertEquals(Set.of(0), k.h.nodes().registered());
  }

  /** No memory for the node's counters, or for its device. Expect -ENOMEM, and a bug. */
  @Test
  void tryOnlineNode_noMemory_fails() {
    k.m.failNth(1, "free_area_init_core_hotplug");
    assertEquals(-Errno.ENOMEM, k.h.add().tryOnlineNode(3));
    assertFalse(k.m.mm.nodes().nodeOnline(3));
    assertEquals("Cannot online node 3 due to NULL pgdat", k.m.log().getLast());

    k.m.failNth(1, "register_node");
    assertThrows(KernelBug.class, () -> k.h.add().tryOnlineNode(3));
  }

  /** Nodes that have to stay: with spanned pages, with an offline block, with the CPUs. */
  @Test
  void tryOfflineNode_stillNeeded_stays() {
    k.h.add().addMemory(3, START, BLOCK, MHP_NONE);
    k.h.locks().lockDeviceHotplug();
    k.h.add().tryOfflineNode(3);
    assertTrue(k.m.mm.nodes().nodeOnline(3));
    k.h.add().tryOfflineNode(0);
    assertTrue(k.m.mm.nodes().nodeOnline(0));
    k.h.locks().unlockDeviceHotplug();
    k.write(0, "online_movable");
    k.h.locks().lockDeviceHotplug();
    k.h.add().tryOfflineNode(3);
    assertTrue(k.m.mm.nodes().nodeOnline(3));
    k.m.mm.nodes().nodeData(0).nodeSpannedPages = 0;
    blocks().all().forEach(mem -> mem.nid = 3);
    k.h.add().tryOfflineNode(0);
    assertTrue(k.m.mm.nodes().nodeOnline(0));
  }

  /** No memory for a node's device, at both steps. Expect -ENOMEM and no slab object left. */
  @Test
  void registerNode_noMemory_returnsEnomem() {
    assertEquals(0, k.h.nodes().registerNode(5));
    k.h.nodes().unregisterNode(5);
    long slab = k.m.owned(Owner.SLAB);
    for (String site : new String[] {"register_node", "device_register"}) {
      k.m.failNth(1, site);
      assertEquals(-Errno.ENOMEM, k.h.nodes().registerNode(5));
      k.m.machine.faults().disarm();
      assertEquals(slab, k.m.owned(Owner.SLAB));
      assertEquals(Set.of(0), k.h.nodes().registered());
    }
    for (int i = 0; i < 100; i++) {
      assertEquals(0, k.h.nodes().registerNode(5));
      k.h.nodes().unregisterNode(5);
      k.h.nodes().unregisterNode(5);
    }
    assertEquals(slab, k.m.owned(Owner.SLAB));
  }

  /** A link cannot be made, or its node is not there. Expect a line only. */
  @Test
  void registerMemoryBlocksUnderNode_noLink_saysSo() {
    k.m.failNth(1, "sysfs_create_link_nowarn");
    assertEquals(0, k.add(0, 2, MHP_NONE));
    assertEquals("can't create link to memory in sysfs (-12)", k.m.log().getLast());
    assertEquals(Set.of(0L, 1L, 2L, FIRST_BLOCK + 1), k.h.nodes().links(0));

    k.h.nodes().registerMemoryBlocksUnderNodeHotplug(9, START, BLOCK);
    assertEquals(2, k.m.log().stream().filter(line -> line.startsWith("can't create")).count());
    assertEquals(0, k.remove(0, 2));
    assertEquals(Set.of(0L, 1L, 2L), k.h.nodes().links(0));
  }

  // ---- adding ----

  /** Two neighbours with the flag to merge. Expect one resource; without it, two. */
  @Test
  void addMemory_merge_makesOneResource() {
    assertEquals(0, k.add(0, 1, MHP_MERGE_RESOURCE));
    assertEquals(0, k.add(1, 1, MHP_MERGE_RESOURCE));
    assertTrue(k.iomem.show().contains("40000000-4fffffff : System RAM"), k.iomem.show());

    assertEquals(0, k.add(2, 1, MHP_NONE));
    assertTrue(k.iomem.show().contains("50000000-57ffffff : System RAM"), k.iomem.show());
  }

  /** The default is to go online. Expect the added blocks to be so, with the default's zone. */
  @Test
  void addMemory_defaultOnline_goesOnline() {
    k.h.params().mhpSetDefaultOnlineType(Mmop.MMOP_ONLINE_MOVABLE);

    assertEquals(0, k.add(0, 2, MHP_NONE));

    assertEquals("online", k.state(0));
    assertEquals("online", k.state(1));
    assertEquals(2 * SECTION, k.m.zone(0, ZoneType.ZONE_MOVABLE).presentPages);
  }

  /** The same, but the first block is refused. Expect the one behind not to be tried. */
  @Test
  void addMemory_defaultOnlineRefused_endsThere() {
    k.h.params().mhpSetDefaultOnlineType(Mmop.MMOP_ONLINE_MOVABLE);
    blocks()
        .registerMemoryNotifier(
            (action, arg) ->
                arg.startPfn() == START >>> 12
                    ? NotifierChain.NOTIFY_BAD
                    : NotifierChain.NOTIFY_OK);

    assertEquals(0, k.add(0, 2, MHP_NONE));

    assertEquals("offline", k.state(0));
    assertEquals("offline", k.state(1));
  }

  /**
   * Memory that a driver found: names, the resource's flag, memblock's flag, going online at once.
   */
  @Test
  void addMemoryDriverManaged_name_isTheResource() {
    k.m.arch.keepMemblock = true;
    MemoryAdd add = k.h.add();
    for (String wrong : new String[] {"System RAM", "System RAM (kmem", "System RAM kmem)"}) {
      assertEquals(-Errno.EINVAL, add.addMemoryDriverManaged(0, START, BLOCK, wrong, MHP_NONE));
    }

    assertEquals(
        0,
        add.addMemoryDriverManaged0(
            0, START, BLOCK, "System RAM (kmem)", MHP_NONE, Mmop.MMOP_ONLINE_KERNEL));

    assertEquals("Normal", k.h.sysfs().read(k.file(0) + "valid_zones"));
    assertTrue(k.iomem.show().contains("System RAM (kmem)"));
    Resource res =
        Objects.requireNonNull(k.iomem.lookupResource(k.iomem.iomemResource(), START));
    assertTrue((res.flags & Resource.IORESOURCE_SYSRAM_DRIVER_MANAGED) != 0);
    assertEquals(
        Memblock.MEMBLOCK_DRIVER_MANAGED, k.m.memblock.memRanges().getLast().flags());
    assertEquals(
        -Errno.EEXIST,
        add.addMemoryDriverManaged(0, START, BLOCK, "System RAM (kmem)", MHP_NONE));
    assertFalse(k.h.locks().held());
  }

  /** It fails half-way. Expect the resource and memblock's entry gone, and the lock given back. */
  @Test
  void addMemoryDriverManaged_fails_releasesTheResource() {
    k.m.arch.keepMemblock = true;
    String before = k.iomem.show();
    k.m.failNth(1, "add_memory_block");

    assertEquals(
        -Errno.ENOMEM,
        k.h.add().addMemoryDriverManaged(0, START, BLOCK, "System RAM (kmem)", MHP_NONE));

    assertEquals(before, k.iomem.show());
    assertFalse(k.m.memblock.memblockIsMemory(START));
    assertFalse(k.h.locks().held());
  }

  /** Ordinary memory where memblock is kept. Expect it there without a flag. */
  @Test
  void addMemory_keepMemblock_hasNoFlag() {
    k.m.arch.keepMemblock = true;

    k.add(0, 1, MHP_NONE);

    assertEquals(Memblock.MEMBLOCK_NONE, k.m.memblock.memRanges().getLast().flags());
    assertEquals(START, k.m.memblock.memRanges().getLast().start());
  }

  /** memblock has no room for the range. Expect its -ENOMEM and nothing else done. */
  @Test
  void addMemory_memblockFull_returnsEnomem() {
    k.m.arch.keepMemblock = true;
    for (long i = 0; k.m.memblock.memRanges().size() < 128; i++) {
      k.m.memblock.memblockAddNode(2048 * MIB + i * 2 * MIB, MIB, 0);
    }
    k.m.failAll("memblock_double_array");

    assertEquals(-Errno.ENOMEM, k.add(0, 1, MHP_NONE));
    assertFalse(k.m.mm.mmzone().pfnValid(START >>> 12));
    assertFalse(k.h.locks().held());
  }

  /** A new node whose device cannot be made. Expect the warning, and no node. */
  @Test
  void addMemory_noNodeDevice_undoesTheNode() {
    k.m.failNth(1, "register_node");

    assertEquals(-Errno.ENOMEM, k.h.add().addMemory(4, START, BLOCK, MHP_NONE));

    assertEquals(List.of("__add_memory_resource: register_node()"), k.m.warnings());
    assertFalse(k.m.mm.nodes().nodeOnline(4));
  }

  /** A step of making a node fails. Expect -ENOMEM, and none of the steps behind it to be tried. */
  @ParameterizedTest
  @ValueSource(strings = {"free_area_init_core_hotplug", "register_node"})
  void addMemory_noNewNode_endsThere(String step) {
    List<String> tried = new ArrayList<>();
    k.m.machine.faults().failFrom(1, site -> tried.add(site) && site.equals(step));

    assertEquals(-Errno.ENOMEM, k.h.add().addMemory(4, START, BLOCK, MHP_NONE));

    assertEquals(step, tried.getLast());
    assertFalse(k.m.mm.nodes().nodeOnline(4));
  }

  /** A new node whose memory cannot be added. Expect the node gone again, with its device. */
  @Test
  void addMemory_newNodeFails_goesOfflineAgain() {
    k.m.failNth(1, "add_memory_block");

    assertEquals(-Errno.ENOMEM, k.h.add().addMemory(4, START, BLOCK, MHP_NONE));

    assertFalse(k.m.mm.nodes().nodeOnline(4));
    assertEquals(Set.of(0), k.h.nodes().registered());
    assertTrue(k.m.mm.nodes().nodeOnline(0));
  }

  /** Nodes at both ends of what is possible. Expect the last to be possible, the next not. */
  @Test
  void addMemory_nodeNumber_hasALimit() {
    assertEquals(-Errno.EINVAL, k.h.add().addMemory(1024, START, BLOCK, MHP_NONE));
    assertEquals(1, k.m.warnings().size());
    assertEquals(0, k.h.add().addMemory(1023, START, BLOCK, MHP_NONE));
  }

  // ---- self-hosted memmap ----

  /** When a block can host its memmap: turned on, whole pages, pageblocks and pmds, room left. */
  @Test
  void mhpSupportsMemmapOnMemory_rules() {
    assertFalse(k.h.add().mhpSupportsMemmapOnMemory());
    k.selfHosted();
    assertTrue(k.h.add().mhpSupportsMemmapOnMemory());

    // 2.5 MiB of memmap are 640 pages, no whole pageblocks; forced, 1024 pages, but half a pmd.
    SmallMachine odd =
        new SmallMachine(config().withSizeofStructPage(80), new Ram(0, 384 * MIB, 0)).boot();
    HotplugSystem h = system(odd, BLOCK);
    h.params().setMemmapMode("Y");
    assertFalse(h.add().mhpSupportsMemmapOnMemory());
    h.params().setMemmapMode("force");
    assertEquals(1024, h.params().memoryBlockMemmapOnMemoryPages());
    assertEquals(
        "Memory hotplug will waste 384 pages in each memory block", odd.log().getLast());
    assertFalse(h.add().mhpSupportsMemmapOnMemory());
  }

  /** Pageblocks as large as a block, so that the memmap would take all of it. Expect no. */
  @Test
  void mhpSupportsMemmapOnMemory_nothingLeft_isRefused() {
    SmallMachine odd =
        new SmallMachine(config().toBuilder().pageblockOrder(15).maxPageOrder(15).build());
    HotplugSystem h = system(odd, BLOCK);
    h.params().setMemmapMode("force");

    assertEquals(SECTION, h.params().memoryBlockMemmapOnMemoryPages());
    assertFalse(h.add().mhpSupportsMemmapOnMemory());
    assertTrue(odd.hotplug.archSupportsMemmapOnMemory(h.params().memoryBlockMemmapSize()));
  }

  /** Forced on blocks of 256 MiB with struct pages of 80 bytes. Expect 5 MiB, rounded up to 6. */
  @Test
  void memoryBlockMemmapOnMemoryPages_forced_roundsUp() {
    SmallMachine odd = new SmallMachine(config().withSizeofStructPage(80));
    HotplugParams params = system(odd, 2 * BLOCK).params();
    params.setMemmapMode("Y");
    assertEquals(1280, params.memoryBlockMemmapOnMemoryPages());
    params.setMemmapMode("FORCE");
    assertEquals(1536, params.memoryBlockMemmapOnMemoryPages());
    assertTrue(params.mhpMemmapOnMemory());
    assertEquals(0, params.setMemmapMode("0"));
    assertFalse(params.mhpMemmapOnMemory());
  }

  /** Blocks with and without a memmap of their own in one range. Expect a warning and -EINVAL. */
  @Test
  void removeMemory_mixedAltmaps_isRefused() {
    k.selfHosted();
    k.add(0, 1, MHP_MEMMAP_ON_MEMORY);
    k.add(1, 1, MHP_NONE);

    assertEquals(-Errno.EINVAL, k.remove(0, 2));

    assertEquals(
        List.of("memory_blocks_have_altmaps: num_memblocks != num_altmaps"), k.m.warnings());
    assertEquals("offline", k.state(0));
    assertFalse(k.h.locks().held());
    assertEquals(0, k.remove(0, 1));
    assertEquals(0, k.remove(1, 1));
  }

  /** Two self-hosted blocks go. Expect an altmap for each block, and all freed with them. */
  @Test
  void removeMemory_selfHosted_freesEachAltmap() {
    k.selfHosted();
    k.add(0, 2, MHP_MEMMAP_ON_MEMORY);
    assertEquals(2, k.h.add().altmapsInUse());
    VmemAltmap altmap = Objects.requireNonNull(get(FIRST_BLOCK + 1).altmap());
    assertEquals((START + BLOCK) >>> 12, altmap.basePfn);
    assertEquals(((START + 2 * BLOCK) >>> 12) - 1, altmap.endPfn);
    assertEquals(512, altmap.free);
    assertEquals(2, altmapObjects());

    assertEquals(0, k.remove(0, 2));

    assertEquals(0, k.h.add().altmapsInUse());
    assertEquals(0, altmapObjects());
    assertEquals(Owner.NONE, k.m.machine.ledger().ownerOf(START >>> 12));
    k.assertQuiet();
  }

  private long altmapObjects() {
    return k.m.slab.objectsBySite().getOrDefault("create_altmaps_and_memory_blocks", 0L);
  }

  /** An altmap that still has pages handed out when its block is gone. Expect the warning. */
  @Test
  void altmapFree_stillInUse_warns() {
    k.selfHosted();
    k.add(0, 1, MHP_MEMMAP_ON_MEMORY);
    Objects.requireNonNull(get(FIRST_BLOCK).altmap()).alloc += 5;

    assertEquals(0, k.remove(0, 1));

    assertEquals(List.of("Altmap not fully unmapped"), k.m.warnings());
  }

  /** The device of a self-hosted block fails. Expect its memmap gone, from RAM before 7.2. */
  @Test
  void createAltmaps_noDevice_unmapsFromTheAltmap() {
    k.selfHosted();
    HotplugMachine.Books before = k.books();
    k.m.failNth(2, "add_memory_block");

    assertEquals(-Errno.ENOMEM, k.add(0, 2, MHP_MEMMAP_ON_MEMORY));

    assertEquals(0, k.h.add().altmapsInUse());
    assertEquals(before.memmapPages(), k.books().memmapPages());
    assertEquals(before.sections(), k.books().sections());
    assertEquals(0, k.m.owned(Owner.ALTMAP));
    k.assertQuiet();
  }

  // ---- removing ----

  /** A range that is no block. Expect the line and the bug; online memory in it, another bug. */
  @Test
  void removeMemory_wrong_isABug() {
    k.add(0, 1, MHP_NONE);
    assertThrows(KernelBug.class, () -> k.h.add().removeMemory(START, BLOCK / 2));
    assertEquals(
        "Block size [0x8000000] unaligned hotplug range: start 0x40000000, size 0x4000000",
        k.m.log().getLast());
    k.h.locks().unlockDeviceHotplug();
    k.write(0, "online_movable");
    assertEquals(-Errno.EBUSY, k.remove(0, 1));
    assertEquals(
        "removing memory fails, because memory [0x0000000040000000-0x0000000047ffffff] is onlined",
        k.m.log().getLast());
    k.h.locks().lockDeviceHotplug();
    assertThrows(KernelBug.class, () -> k.h.add().removeMemory0(START, BLOCK));
    k.h.locks().unlockDeviceHotplug();
    k.write(0, "offline");
    k.h.locks().lockDeviceHotplug();
    k.h.add().removeMemory0(START, BLOCK);
    assertFalse(k.m.mm.mmzone().pfnValid(START >>> 12));
  }

  /** Two ranges, of which the second has a busy block. Expect both as they were, with their zones. */
  @ParameterizedTest
  @ValueSource(strings = {"online_movable", "online_kernel"})
  void offlineAndRemoveMemoryRanges_secondBusy_putsBothBack(String word) {
    k.add(0, 1, MHP_NONE);
    k.add(2, 1, MHP_NONE);
    k.write(0, word);
    k.write(2, word);
    String zone = k.h.sysfs().read(k.file(0) + "valid_zones");
    int[] refused = {MemoryBlock.MEM_GOING_OFFLINE};
    blocks()
        .registerMemoryNotifier(
            (action, arg) ->
                action == refused[0] && arg.startPfn() == (START + 2 * BLOCK) >>> 12
                    ? NotifierChain.NOTIFY_BAD
                    : NotifierChain.NOTIFY_OK);
    List<DevPagemap.Range> ranges =
        List.of(
            new DevPagemap.Range(START, START + BLOCK - 1),
            new DevPagemap.Range(START + 2 * BLOCK, START + 3 * BLOCK - 1));

    assertEquals(-Errno.EPERM, k.h.add().offlineAndRemoveMemoryRanges(ranges));

    assertEquals("online", k.state(0));
    assertEquals("online", k.state(2));
    assertEquals(zone, k.h.sysfs().read(k.file(0) + "valid_zones"));
    assertFalse(k.h.locks().held());
    assertFalse(k.m.log().getLast().startsWith("try_reonline"), k.m.log().getLast());
    refused[0] = -1;
    assertEquals(0, k.h.add().offlineAndRemoveMemoryRanges(ranges));
    assertEquals("null", k.state(0));
    assertEquals("null", k.state(2));
    k.assertQuiet();
  }

  /** A block of the range was offline already, another one fails. Expect it to stay offline. */
  @Test
  void offlineAndRemoveMemory_partlyOffline_leavesThatOffline() {
    k.add(0, 2, MHP_NONE);
    k.write(1, "online_movable");
    k.h.online().setSignalPending(() -> true);

    assertEquals(-Errno.EINTR, k.h.add().offlineAndRemoveMemory(START, 2 * BLOCK));

    assertEquals("offline", k.state(0));
    assertEquals("online", k.state(1));
    k.h.online().setSignalPending(() -> false);
    assertEquals(0, k.h.add().offlineAndRemoveMemory(START, 2 * BLOCK));
  }

  /** A block does not come back online. Expect the line with the error. */
  @Test
  void tryReonlineMemoryBlock_refused_saysSo() {
    k.add(0, 2, MHP_NONE);
    k.write(0, "online_movable");
    k.write(1, "online_movable");
    blocks()
        .registerMemoryNotifier(
            (action, arg) ->
                action == MemoryBlock.MEM_GOING_ONLINE
                        || (arg.startPfn() != START >>> 12
                            && action == MemoryBlock.MEM_GOING_OFFLINE)
                    ? NotifierChain.NOTIFY_BAD
                    : NotifierChain.NOTIFY_OK);

    assertEquals(-Errno.EPERM, k.h.add().offlineAndRemoveMemory(START, 2 * BLOCK));

    assertEquals(
        "try_reonline_memory_block: Failed to re-online memory: -1", k.m.log().getLast());
    assertEquals("offline", k.state(0));
    assertEquals("online", k.state(1));
  }

  // ---- groups ----

  /** Groups of two nodes, static and dynamic. Expect the dynamic ones of the node, up to a stop. */
  @Test
  void walkDynamicMemoryGroups_node_visitsItsOwn() {
    MemoryGroups groups = k.h.groups();
    groups.memoryGroupRegisterStatic(0, SECTION);
    int first = groups.memoryGroupRegisterDynamic(0, SECTION);
    groups.memoryGroupRegisterDynamic(1, SECTION);
    int last = groups.memoryGroupRegisterDynamic(0, 2 * SECTION);
    MemoryGroup excluded = groups.memoryGroupFindById(first);
    List<MemoryGroup> seen = new ArrayList<>();

    assertEquals(0, groups.walkDynamicMemoryGroups(0, one -> seen.add(one) ? 0 : 1, null));
    assertEquals(List.of(excluded, groups.memoryGroupFindById(last)), seen);
    seen.clear();
    groups.walkDynamicMemoryGroups(-1, one -> seen.add(one) ? 0 : 1, excluded);
    assertEquals(2, seen.size());
    seen.clear();
    assertEquals(3, groups.walkDynamicMemoryGroups(-1, one -> seen.add(one) ? 3 : 1, null));
    assertEquals(1, seen.size());
    assertEquals(0, groups.memoryGroupUnregister(first));
    assertEquals(first, groups.memoryGroupRegisterStatic(1023, SECTION));
    assertEquals(-Errno.EINVAL, groups.memoryGroupRegisterStatic(1024, SECTION));
  }

  /** A group that cannot be numbered, and one that goes. Expect their slab objects back. */
  @Test
  void memoryGroup_object_isFreed() {
    MemoryGroups groups = k.h.groups();
    int mgid = groups.memoryGroupRegisterStatic(0, SECTION);
    assertEquals(1, groups.count());
    long slab = k.m.owned(Owner.SLAB);
    for (int i = 0; i < 100; i++) {
      k.m.failNth(1, "xa_alloc");
      assertEquals(-Errno.ENOMEM, groups.memoryGroupRegisterStatic(0, SECTION));
      k.m.machine.faults().disarm();
      assertEquals(0, groups.memoryGroupUnregister(mgid));
      assertEquals(mgid, groups.memoryGroupRegisterStatic(0, SECTION));
    }
    assertEquals(slab, k.m.owned(Owner.SLAB));
  }
}
