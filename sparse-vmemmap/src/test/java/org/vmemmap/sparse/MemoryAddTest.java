// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.sparse.HotplugMachine.BLOCK;
import static org.vmemmap.sparse.HotplugMachine.FIRST_BLOCK;
import static org.vmemmap.sparse.HotplugMachine.PFN;
import static org.vmemmap.sparse.HotplugMachine.START;
import static org.vmemmap.sparse.MemoryAdd.MHP_MEMMAP_ON_MEMORY;
import static org.vmemmap.sparse.MemoryAdd.MHP_NID_IS_MGID;
import static org.vmemmap.sparse.MemoryAdd.MHP_NONE;
import static org.vmemmap.sparse.SmallMachine.SECTION;

import java.util.List;
import java.util.Objects;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Memory is added, goes online and offline, and is removed; also when a step on the way fails. */
class MemoryAddTest {
  /** Allocations for memmap that are made to fail in one addition. */
  private static final int ALIKE = 6;

  private final HotplugMachine k = new HotplugMachine();
  private final Zone movable = k.m.zone(0, ZoneType.ZONE_MOVABLE);

  // ---- the whole way ----

  /**
   * Two blocks come, are used, and go.
   *
   * <pre>
   *   block    8        9
   *           |offline |offline |      after add
   *           |Movable |Movable |      after online_movable
   * </pre>
   *
   * Expect the pages managed while online, and the machine as before at the end.
   */
  @Test
  void addOnlineOfflineRemove_twoBlocks_leavesNothing() {
    HotplugMachine.Books before = k.books();

    assertEquals(0, k.add(0, 2, MHP_NONE));
    assertEquals("offline", k.state(0));
    assertEquals(0, movable.managedPages);
    assertEquals(0, k.write(0, "online_movable"));
    assertEquals(0, k.write(1, "online_movable"));
    assertEquals("online", k.state(1));
    assertEquals(2 * SECTION, movable.managedPages);
    assertEquals(2 * SECTION, k.m.pageAlloc.nrFreePages(movable));
    assertEquals(0, k.m.pageAlloc.nrIsolatePageblock(movable));
    assertEquals(-Errno.EBUSY, k.remove(0, 2));
    assertEquals(0, k.write(1, "offline"));
    assertEquals(SECTION, movable.spannedPages);
    assertEquals(0, k.write(0, "offline"));
    assertEquals(0, k.remove(0, 2));

    assertEquals(before.zones(), k.books().zones());
    assertEquals(before.iomem(), k.books().iomem());
    assertEquals(before.memmapPages(), k.books().memmapPages());
    assertEquals(before.blocks(), k.books().blocks());
    k.assertQuiet();
  }

  /**
   * The memmap of each block lies at its start.
   *
   * <pre>
   *   block  |memmap 512|       32256 pages to use        |
   * </pre>
   *
   * Expect 512 self-hosted pages, counted as present but not managed, and the altmap empty and
   * gone at the end.
   */
  @Test
  void addMemory_selfHosted_usesTheBlock() {
    k.selfHosted();
    HotplugMachine.Books before = k.books();

    assertEquals(0, k.add(0, 2, MHP_MEMMAP_ON_MEMORY));
    assertEquals(2, k.h.add().altmapsInUse());
    assertEquals(1024, k.m.owned(Owner.ALTMAP));
    assertEquals(0, k.write(0, "online_movable"));
    assertTrue(k.m.mm.flags().pageVmemmapSelfHosted(k.page(PFN)));
    assertFalse(k.m.mm.flags().pageVmemmapSelfHosted(k.page(PFN + 512)));
    assertEquals(SECTION, movable.presentPages);
    assertEquals(SECTION - 512, movable.managedPages);
    assertEquals(0, k.write(0, "offline"));
    assertEquals(0, movable.presentPages);
    assertTrue(k.m.mm.flags().pagePoisoned(k.page(PFN)));
    assertEquals(0, k.remove(0, 2));

    assertEquals(0, k.h.add().altmapsInUse());
    assertEquals(0, k.m.owned(Owner.ALTMAP));
    assertEquals(before.zones(), k.books().zones());
    assertEquals(before.memmapPages(), k.books().memmapPages());
    k.assertQuiet();
  }

  /** Three turns of add and remove. Expect the third to leave the books of the second. */
  @ParameterizedTest
  @CsvSource({"0", "2"})
  void addRemoveAdd_again_isTheSame(int flags) {
    k.selfHosted();
    HotplugMachine.Books[] after = new HotplugMachine.Books[3];
    for (int turn = 0; turn < 3; turn++) {
      assertEquals(0, k.add(0, 3, flags));
      assertEquals(0, k.write(1, "online"));
      assertEquals(0, k.write(1, "offline"));
      assertEquals(0, k.remove(0, 3));
      k.drain();
      after[turn] = k.books();
    }
    assertEquals(after[1], after[2]);
    k.assertQuiet();
  }

  /**
   * Add a, remove b inside a.
   *
   * <pre>
   *   added    |  8  |  9  | 10  |
   *   removed        |XXXXX|
   * </pre>
   *
   * Expect the outer blocks to stay usable, the hole to be refused only where it is, and to be
   * filled again.
   */
  @Test
  void removeMemory_insideOfWhatWasAdded_leavesTheRest() {
    assertEquals(0, k.add(0, 3, MHP_NONE));
    assertEquals(0, k.remove(1, 1));
    assertEquals("null", k.state(1));
    assertFalse(k.m.mm.mmzone().pfnValid(PFN + SECTION));
    assertEquals(0, k.write(0, "online_movable"));
    assertEquals(0, k.write(2, "online_movable"));
    assertEquals(3 * SECTION, movable.spannedPages);
    assertEquals(2 * SECTION, movable.presentPages);
    assertEquals(-Errno.EEXIST, k.add(0, 3, MHP_NONE));
    assertEquals(0, k.add(1, 1, MHP_NONE));
    assertEquals(0, k.write(1, "online_movable"));
    assertEquals(3 * SECTION, movable.presentPages);
    // set_zone_contiguous() runs before the sections are online, so it sees a hole.
    assertFalse(movable.contiguous);
    k.assertQuiet();
  }

  // ---- refusals ----

  /** What the kernel refuses before it does anything. Expect each with its own error. */
  @Test
  void addMemory_wrongArguments_areRefused() {
    HotplugMachine.Books before = k.books();

    assertEquals(-Errno.EINVAL, k.h.add().addMemory(0, START + BLOCK / 2, BLOCK, MHP_NONE));
    assertEquals(-Errno.E2BIG, k.h.add().addMemory(0, START, 0, MHP_NONE));
    assertEquals(-Errno.EEXIST, k.h.add().addMemory(0, 0, BLOCK, MHP_NONE));
    assertEquals(-Errno.E2BIG, k.h.add().addMemory(0, 1L << 50, BLOCK, MHP_NONE));
    assertEquals(-Errno.EINVAL, k.h.add().addMemory(7, START, BLOCK, MHP_NID_IS_MGID));
    assertEquals(
        -Errno.EINVAL, k.h.add().addMemoryDriverManaged(0, START, BLOCK, "RAM (kmem)", MHP_NONE));
    assertEquals(before, k.books());
    k.assertQuiet();

    assertEquals(-Errno.EINVAL, k.h.add().addMemory(-1, START, BLOCK, MHP_NONE));
    assertEquals(List.of("node -1 was absent from the node_possible_map"), k.m.warnings());
  }

  /** Memory of boot in a hole: a block with less memory than it has room for. Expect -EINVAL. */
  @Test
  void offlinePages_bootMemoryInUse_isRefused() {
    String dir = "/sys/devices/system/memory/memory0/";
    assertEquals("online", k.h.sysfs().read(dir + "state"));
    int rc = k.h.sysfs().write(dir + "state", "offline");
    assertTrue(rc < 0, Errno.name(rc));
    assertEquals("online", k.h.sysfs().read(dir + "state"));
  }

  /** Who does not hold the lock. Expect the rule's name. */
  @Test
  void locks_notHeld_areABug() {
    KernelBug e =
        assertThrows(
            KernelBug.class, () -> k.h.add().addMemory0(0, START, BLOCK, MHP_NONE));
    assertEquals("kernel BUG at __add_memory_resource: device_hotplug_lock is not held", e.getMessage());
    assertThrows(KernelBug.class, () -> k.h.online().onlinePages(PFN, SECTION, movable, null));
    assertThrows(KernelBug.class, () -> k.h.online().offlinePages(PFN, SECTION, movable, null));
    k.h.locks().lockDeviceHotplug();
    assertThrows(KernelBug.class, () -> k.h.locks().lockDeviceHotplug());
  }

  /** A page of the block is allocated and cannot be moved. Expect -EINTR after some tries. */
  @Test
  void offlinePages_pageInUse_endsWithASignal() {
    k.add(0, 1, MHP_NONE);
    k.write(0, "online_movable");
    HotplugMachine.Books before = k.books();
    Page page =
        Objects.requireNonNull(
            k.m.pageAlloc.allocPagesNode(0, Gfp.HIGHUSER_MOVABLE, 3, "test"));
    assertEquals(movable, k.m.mm.inline().pageZone(page));

    assertEquals(-Errno.EINTR, k.write(0, "offline"));
    assertEquals("online", k.state(0));
    assertEquals(0, k.m.pageAlloc.nrIsolatePageblock(movable));
    k.m.pageAlloc.freePages(page, 3);
    k.drain();
    assertEquals(before, k.books());
    assertEquals(0, k.write(0, "offline"));
    k.assertQuiet();
  }

  /** A signal before the first look. Expect -EINTR and the block as before. */
  @Test
  void offlinePages_signalPending_backsOff() {
    k.add(0, 1, MHP_NONE);
    k.write(0, "online_movable");
    HotplugMachine.Books before = k.books();
    k.h.online().setSignalPending(() -> true);

    assertEquals(-Errno.EINTR, k.write(0, "offline"));
    assertEquals(before, k.books());
  }

  /** Each notifier refuses once, with and without a memmap of its own. Expect all undone. */
  @ParameterizedTest
  @CsvSource({"0", "2"})
  void onlineOffline_notifierRefuses_isUndone(int flags) {
    k.selfHosted();
    k.add(0, 1, flags);
    HotplugMachine.Books offline = k.books();
    int[] refused = {MemoryBlock.MEM_GOING_ONLINE};
    NotifierChain.Block<MemoryOnline.MemoryNotify> no =
        (action, arg) ->
            action == refused[0]
                ? NotifierChain.notifierFromErrno(-Errno.ENOMEM)
                : NotifierChain.NOTIFY_OK;
    k.h.blocks().registerMemoryNotifier(no);

    assertEquals(-Errno.ENOMEM, k.write(0, "online_movable"));
    assertEquals("offline", k.state(0));
    assertEquals(offline, k.books());
    assertTrue(k.m.mm.flags().pagePoisoned(k.page(PFN)));

    refused[0] = MemoryBlock.MEM_GOING_OFFLINE;
    assertEquals(0, k.write(0, "online_movable"));
    HotplugMachine.Books online = k.books();
    assertEquals(-Errno.ENOMEM, k.write(0, "offline"));
    assertEquals("online", k.state(0));
    assertEquals(online, k.books());
    k.h.blocks().unregisterMemoryNotifier(no);
    assertEquals(0, k.write(0, "offline"));
    k.assertQuiet();
  }

  /** NOTIFY_BAD has no error code of its own. Expect -EPERM. */
  @Test
  void notifierToErrno_bad_isEperm() {
    assertEquals(-Errno.EPERM, NotifierChain.notifierToErrno(NotifierChain.NOTIFY_BAD));
    assertEquals(0, NotifierChain.notifierToErrno(NotifierChain.NOTIFY_OK));
    assertEquals(0, NotifierChain.notifierToErrno(NotifierChain.NOTIFY_DONE));
    assertEquals(
        -Errno.EBUSY, NotifierChain.notifierToErrno(NotifierChain.notifierFromErrno(-16)));
  }

  // ---- nodes ----

  /** Memory of a node that did not exist. Expect the node while there are blocks of it. */
  @Test
  void addMemory_newNode_comesAndGoes() {
    assertFalse(k.m.mm.nodes().nodeOnline(2));
    assertEquals(0, k.h.add().addMemory(2, START, BLOCK, MHP_NONE));
    assertTrue(k.m.mm.nodes().nodeOnline(2));
    assertTrue(k.h.nodes().links(2).contains(FIRST_BLOCK));
    assertEquals(0, k.write(0, "online"));
    Zone normal = k.m.zone(2, ZoneType.ZONE_NORMAL);
    assertEquals(SECTION, normal.managedPages);
    assertTrue(k.h.online().nodeStatesMemory().contains(2));
    assertTrue(k.h.online().nodeStatesNormalMemory().contains(2));
    assertNotNull(k.m.pageAlloc.allocPagesNode(2, Gfp.KERNEL.or(Gfp.THISNODE), 0, "test"));
    assertTrue(k.write(0, "offline") < 0);
  }

  /** The node loses its last block. Expect it to be offline, and to come again. */
  @Test
  void removeMemory_lastOfTheNode_takesTheNodeOffline() {
    for (int turn = 0; turn < 2; turn++) {
      assertEquals(0, k.h.add().addMemory(2, START, BLOCK, MHP_NONE));
      assertEquals(0, k.write(0, "online_movable"));
      assertEquals(0, k.write(0, "offline"));
      assertFalse(k.h.online().nodeStatesMemory().contains(2));
      assertEquals(0, k.remove(0, 1));
      assertFalse(k.m.mm.nodes().nodeOnline(2));
      assertFalse(k.h.nodes().registered().contains(2));
    }
    k.assertQuiet();
  }

  // ---- failures ----

  /**
   * Every fallible step of adding memory fails: only the n-th, or all from the n-th on. One block,
   * or three that host their own memmap.
   *
   * <p>Of the base pages that stand in for a leaf only the first few fail: there are hundreds, all
   * alike, and {@link SparseSectionTest} fails those behind.
   *
   * <p>Expect an error, the books as before, and no altmap left; and success behind the last step.
   */
  @ParameterizedTest
  @CsvSource({"false,0,0", "true,0,0", "false,2,0", "true,2,0", "false,0,3", "true,2,3"})
  void addMemory_eachStepFails_undoesAll(boolean all, int flags, int nid) {
    k.selfHosted();
    int count = flags == MHP_NONE ? 1 : 3;
    // Slabs, page tables and node data that stay are made in a first turn.
    assertEquals(0, k.h.add().addMemory(nid, START, count * BLOCK, flags));
    assertEquals(0, k.remove(0, count));
    k.drain();
    HotplugMachine.Books before = k.books();
    int failed = 0;
    for (int n = 1; ; n++) {
      int[] blocks = {0};
      Predicate<String> sites =
          site ->
              !site.startsWith("sysfs")
                  && !(site.equals("vmemmap_alloc_block") && ++blocks[0] > ALIKE);
      if (all) {
        k.m.machine.faults().failFrom(n, sites);
      } else {
        k.m.machine.faults().failNth(n, sites);
      }
      int rc = k.h.add().addMemory(nid, START, count * BLOCK, flags);
      boolean injected = k.m.machine.faults().failed() != 0;
      k.m.machine.faults().disarm();
      k.drain();
      if (rc == 0) {
        assertEquals(0, k.remove(0, count));
        k.drain();
      } else {
        failed++;
      }
      assertEquals(before, k.books(), "step " + n + " rc " + rc);
      if (!injected) {
        break;
      }
    }
    assertTrue(failed >= 5, "steps that failed: " + failed);
    assertEquals(0, k.m.mm.rcu().waiting());
    assertFalse(k.h.locks().held());
  }

  /**
   * The memmap of the second section of three fails.
   *
   * <pre>
   *   section  |   8   |   9   |  10   |
   *            | stays | -12   |       |
   * </pre>
   *
   * Expect -ENOMEM and no memory blocks, but section 8 still valid: arch_add_memory() undoes nothing
   * and its caller trusts it. The range can never be added again.
   */
  @Test
  void addMemory_secondSectionFails_leaksTheFirst() {
    k.m.failNth(2, "section_activate");
    assertEquals(-Errno.ENOMEM, k.add(0, 3, MHP_NONE));
    k.m.machine.faults().disarm();

    assertTrue(k.m.mm.mmzone().pfnValid(PFN));
    assertFalse(k.m.mm.mmzone().pfnValid(PFN + SECTION));
    assertEquals("null", k.state(0));
    assertEquals(512, k.m.mm.vmstat().nrMemmapPages());
    assertEquals(-Errno.EEXIST, k.add(0, 3, MHP_NONE));
    assertEquals(0, k.add(1, 2, MHP_NONE));
    k.assertQuiet();
  }

  /** A block cannot go offline, so none of the device may. Expect all online again. */
  @Test
  void offlineAndRemoveMemory_oneBlockBusy_putsTheOthersBack() {
    k.add(0, 3, MHP_NONE);
    k.write(0, "online_movable");
    k.write(1, "online_kernel");
    k.write(2, "online_movable");
    HotplugMachine.Books before = k.books();
    k.h
        .blocks()
        .registerMemoryNotifier(
            (action, arg) ->
                action == MemoryBlock.MEM_GOING_OFFLINE && arg.startPfn() == PFN + 2 * SECTION
                    ? NotifierChain.NOTIFY_BAD
                    : NotifierChain.NOTIFY_OK);

    assertEquals(-Errno.EPERM, k.h.add().offlineAndRemoveMemory(START, 3 * BLOCK));
    assertEquals("online", k.state(0));
    assertEquals(before, k.books());
    assertEquals(-Errno.EINVAL, k.h.add().offlineAndRemoveMemory(START + 1, BLOCK));
    assertEquals(-Errno.EINVAL, k.h.add().offlineAndRemoveMemoryRanges(List.of()));
    k.m.failNth(1, "offline_and_remove_memory_ranges");
    assertEquals(
        -Errno.ENOMEM,
        k.h
            .add()
            .offlineAndRemoveMemoryRanges(
                List.of(new DevPagemap.Range(START, START + BLOCK - 1))));
    k.m.machine.faults().disarm();
    assertEquals(0, k.h.add().offlineAndRemoveMemory(START, 2 * BLOCK));
    k.assertQuiet();
  }

  // ---- RCU ----

  /** A reader looks at the usage record. Expect it to be freed when the reader leaves. */
  @Test
  void sectionDeactivate_reader_delaysTheFree() {
    k.add(0, 1, MHP_NONE);
    k.m.mm.rcu().readLock();
    k.m.mm.rcu().readLock();
    assertEquals(0, k.remove(0, 1));
    assertEquals(1, k.m.mm.rcu().waiting());
    k.m.mm.rcu().readUnlock();
    assertEquals(1, k.m.mm.rcu().waiting());
    k.m.mm.rcu().readUnlock();
    assertEquals(0, k.m.mm.rcu().waiting());
    assertThrows(KernelBug.class, () -> k.m.mm.rcu().readUnlock());
  }
}
