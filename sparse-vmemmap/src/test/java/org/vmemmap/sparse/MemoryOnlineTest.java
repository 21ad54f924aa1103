// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.sparse.HotplugMachine.BLOCK;
import static org.vmemmap.sparse.HotplugMachine.PFN;
import static org.vmemmap.sparse.HotplugMachine.START;
import static org.vmemmap.sparse.MemoryAdd.MHP_MEMMAP_ON_MEMORY;
import static org.vmemmap.sparse.MemoryAdd.MHP_NID_IS_MGID;
import static org.vmemmap.sparse.MemoryAdd.MHP_NONE;
import static org.vmemmap.sparse.SmallMachine.SECTION;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.pagealloc.HugetlbHooks;
import org.vmemmap.pagealloc.MigrateReason;
import org.vmemmap.pagealloc.MigrationTarget;
import org.vmemmap.pagealloc.PageMigration;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** online_pages() and offline_pages(): who is told, what is moved, and what stays in the way. */
class MemoryOnlineTest {
  private final HotplugMachine k = new HotplugMachine();
  private final Zone movable = k.m.zone(0, ZoneType.ZONE_MOVABLE);
  private final Mover mover = new Mover();

  /** Rounds without progress after which offlining ends. */
  private static final int PATIENCE = 5;

  /**
   * Moves pages by freeing them: the new place does not matter here. Faithful: references and
   * lists. Changed for tests: what it refuses.
   */
  private final class Mover implements PageMigration {
    final List<Long> isolated = new ArrayList<>();
    final List<MigrationTarget> targets = new ArrayList<>();

    /** Where the lists were that it was given. */
    final Set<ListHead> lists = new HashSet<>();

    boolean refuseIsolation;

    /** How many folios of a list it moves; the others stay. */
    int moves = Integer.MAX_VALUE;

    @Override
    public boolean isolateFolioToList(Folio folio, ListHead list) {
      isolated.add(k.m.mm.model().pageToPfn(folio.page()));
      lists.add(list);
      if (refuseIsolation) {
        return false;
      }
      k.m.mm.refs().pageRefAdd(folio.page(), 1);
      k.m.mm.lists().listAddTail(k.m.mm.struct().lru(folio.page()), list);
      return true;
    }

    @Override
    public int migratePages(ListHead from, MigrationTarget target) {
      targets.add(target);
      int left = 0;
      int done = 0;
      for (ListHead at = k.m.mm.lists().first(from); !at.equals(from); ) {
        ListHead next = k.m.mm.lists().next(at);
        if (done++ < moves) {
          Folio folio = new Folio(k.m.mm.struct().ofLru(at));
          k.m.mm.lists().listDel(at);
          k.m.mm.flags().clear(folio.page(), PageFlags.PG_LRU);
          folioPut(folio);
          folioPut(folio);
        } else {
          left++;
        }
        at = next;
      }
      return left;
    }

    @Override
    public void putbackMovablePages(ListHead list) {
      while (!k.m.mm.lists().listEmpty(list)) {
        ListHead at = k.m.mm.lists().first(list);
        k.m.mm.lists().listDel(at);
        folioPut(new Folio(k.m.mm.struct().ofLru(at)));
      }
    }

    @Override
    public void folioPut(Folio folio) {
      if (k.m.mm.refs().putPageTestzero(folio.page())) {
        k.m.pageAlloc.freeFrozenPages(folio.page(), k.m.mm.inline().folioOrder(folio));
      }
    }
  }

  private void online() {
    k.m.pageAlloc.setHugetlbHooks(HugetlbHooks.NONE, mover);
    assertEquals(0, k.add(0, 1, MHP_NONE));
    assertEquals(0, k.write(0, "online_movable"));
  }

  /** A page of the block that is in use, and on the LRU. */
  private Page lruPage() {
    Page page = taken(0, Gfp.HIGHUSER_MOVABLE);
    k.m.mm.flags().set(page, PageFlags.PG_LRU);
    return page;
  }

  private Page taken(int order, Gfp gfp) {
    Page page = k.m.pageAlloc.allocPagesNode(0, gfp, order, "test");
    assertEquals(movable, k.m.mm.inline().pageZone(Objects.requireNonNull(page)));
    return page;
  }

  private long pfn(Page page) {
    return k.m.mm.model().pageToPfn(page);
  }

  private long lines(String start) {
    return k.m.log().stream().filter(line -> line.startsWith(start)).count();
  }

  // ---- what is moved ----

  /**
   * One page of the block is in use.
   *
   * <pre>
   *   block 8   | free |LRU| free      |   ->   moved, all free, offline
   * </pre>
   *
   * Expect it isolated once, and moved with the flags of hotplug; the only node is the target.
   */
  @Test
  void offlinePages_lruPage_isMoved() {
    online();
    Page page = lruPage();

    assertEquals(0, k.write(0, "offline"));

    assertEquals(List.of(pfn(page)), mover.isolated);
    Gfp gfp = Gfp.KERNEL.or(Gfp.MOVABLE).or(Gfp.RETRY_MAYFAIL);
    assertEquals(
        List.of(new MigrationTarget(0, Set.of(0), gfp, MigrateReason.MR_MEMORY_HOTPLUG)),
        mover.targets);
    assertEquals(0, movable.presentPages);
    k.assertQuiet();
  }

  /** Another node has memory. Expect only that one as target. */
  @Test
  void migrateIsolated_otherNode_isPreferred() {
    online();
    assertEquals(0, k.h.add().addMemory(2, START + BLOCK, BLOCK, MHP_NONE));
    assertEquals(0, k.write(1, "online_kernel"));
    lruPage();

    assertEquals(0, k.write(0, "offline"));

    assertEquals(0, mover.targets.getFirst().nid());
    assertEquals(Set.of(2), mover.targets.getFirst().nmask());
  }

  /**
   * Seven pages of which one moves each time. Expect patience with who makes progress, and other
   * CPUs to be let in before each round.
   */
  @Test
  void moveUntilFree_oneInEachRound_goesOn() {
    online();
    List<Long> rounds = new ArrayList<>();
    for (int i = 0; i < 7; i++) {
      rounds.add(pfn(lruPage()));
    }
    mover.moves = 1;
    List<Long> yields = new ArrayList<>();
    k.m
        .machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("cond_resched")) {
                yields.add(where);
              }
            });

    assertEquals(0, k.write(0, "offline"));

    assertEquals(7, mover.targets.size());
    assertEquals(7 + 6 + 5 + 4 + 3 + 2 + 1, mover.isolated.size());
    assertTrue(yields.containsAll(rounds), yields::toString);
  }

  /** A page cannot be isolated. Expect five rounds and lines, ten lines for the whole run. */
  @Test
  void doMigrateRange_notIsolated_saysSoTenTimes() {
    online();
    Page page = lruPage();
    mover.refuseIsolation = true;

    assertEquals(-Errno.EINTR, k.write(0, "offline"));
    assertEquals(PATIENCE, mover.isolated.size());
    assertEquals(PATIENCE, lines("failed to isolate pfn " + Long.toHexString(pfn(page))));
    assertEquals(List.of(), mover.targets);
    k.write(0, "offline");
    k.write(0, "offline");

    assertEquals(2 * PATIENCE, lines("failed to isolate pfn"));
    assertEquals(1, k.m.mm.refs().pageRefCount(page));
    assertEquals("online", k.state(0));
    assertEquals(1, mover.lists.size(), "the list of each round is given back");
  }

  /** A page is isolated but does not move. Expect a line each time, and it put back. */
  @Test
  void migrateIsolated_notMoved_isPutBack() {
    online();
    Page page = lruPage();
    mover.moves = 0;

    assertEquals(-Errno.EINTR, k.write(0, "offline"));

    assertEquals(PATIENCE, mover.targets.size());
    assertEquals(
        PATIENCE, lines("migrating pfn " + Long.toHexString(pfn(page)) + " failed ret:1"));
    assertEquals(1, k.m.mm.refs().pageRefCount(page));
    k.write(0, "offline");
    k.write(0, "offline");
    assertEquals(2 * PATIENCE, lines("migrating pfn"));
  }

  /** A signal comes in the third round. Expect -EINTR after two. */
  @Test
  void moveUntilFree_signalLater_endsThen() {
    online();
    lruPage();
    mover.refuseIsolation = true;
    int[] asked = {0};
    k.h.online().setSignalPending(() -> ++asked[0] == 3);

    assertEquals(-Errno.EINTR, k.write(0, "offline"));

    assertEquals(2, mover.isolated.size());
  }

  // ---- hugepages ----

  /** HugeTLB as the test wants it: notes the ranges that it is to dissolve. */
  private static final class Hugetlb implements OfflineHooks {
    final List<Long> dissolved = new ArrayList<>();
    boolean migratable;
    int answer;

    @Override
    public int dissolveFreeHugetlbFolios(long startPfn, long endPfn) {
      dissolved.add(startPfn);
      dissolved.add(endPfn);
      return answer;
    }

    @Override
    public boolean folioTestHugetlbMigratable(Folio folio) {
      return migratable;
    }
  }

  private Page hugepage() {
    Page page = taken(9, Gfp.HIGHUSER_MOVABLE.or(Gfp.COMPOUND));
    k.m.mm.flags().setType(page, PageFlags.PGTY_HUGETLB);
    return page;
  }

  /** A hugepage that can be moved. Expect it isolated as a whole, once. */
  @Test
  void scanMovablePages_migratableHugepage_isMoved() {
    online();
    Hugetlb hugetlb = new Hugetlb();
    hugetlb.migratable = true;
    k.h.online().setHooks(hugetlb);
    Page page = hugepage();
    mover.refuseIsolation = true;

    assertEquals(-Errno.EINTR, k.write(0, "offline"));

    assertEquals(java.util.Collections.nCopies(PATIENCE, pfn(page)), mover.isolated);
    assertEquals(List.of(), hugetlb.dissolved);
  }

  /**
   * A hugepage that cannot be moved, and behind it a large folio and a page on the LRU.
   *
   * <pre>
   *   pfn  0            512          1024
   *       | hugepage   | LRU folio  |LRU|
   * </pre>
   *
   * Expect the look for more to go on right behind each folio: both moved in one round.
   */
  @Test
  void scanMovablePages_behindAFolio_goesOn() {
    online();
    Hugetlb hugetlb = new Hugetlb();
    hugetlb.answer = -Errno.EBUSY;
    k.h.online().setHooks(hugetlb);
    Page[] folios = new Page[4];
    for (int i = 0; i < folios.length; i++) {
      folios[i] = taken(9, Gfp.HIGHUSER_MOVABLE);
    }
    Arrays.sort(folios, Comparator.comparingLong(this::pfn));
    int first = (pfn(folios[0]) & 512) == 0 ? 0 : 1;
    assertEquals(pfn(folios[first]) + 1024, pfn(folios[first + 2]));
    k.m.pageAlloc.prepCompoundPage(folios[first], 9);
    k.m.mm.flags().setType(folios[first], PageFlags.PGTY_HUGETLB);
    k.m.pageAlloc.prepCompoundPage(folios[first + 1], 9);
    k.m.mm.flags().set(folios[first + 1], PageFlags.PG_LRU);
    k.m.mm.flags().set(folios[first + 2], PageFlags.PG_LRU);

    assertEquals(-Errno.EBUSY, k.write(0, "offline"));

    assertEquals(
        List.of(pfn(folios[first + 1]), pfn(folios[first + 2])), mover.isolated.subList(0, 2));
    assertEquals(1, mover.targets.size());
  }

  /** A hugepage, and no HugeTLB that could say more. Expect it not to be isolated. */
  @Test
  void scanMovablePages_noHugetlb_movesNoHugepage() {
    online();
    hugepage();

    assertEquals(-Errno.EINTR, k.write(0, "offline"));

    assertEquals(List.of(), mover.isolated);
  }

  /** One that cannot, and HugeTLB does not dissolve. Expect its error, and nothing isolated. */
  @Test
  void moveUntilFree_hugepageNotDissolved_isItsError() {
    online();
    Hugetlb hugetlb = new Hugetlb();
    hugetlb.answer = -Errno.ENOMEM;
    k.h.online().setHooks(hugetlb);
    hugepage();
    HotplugMachine.Books before = k.books();

    assertEquals(-Errno.ENOMEM, k.write(0, "offline"));

    assertEquals(List.of(PFN, PFN + SECTION), hugetlb.dissolved);
    assertEquals(List.of(), mover.isolated);
    assertEquals(before, k.books());
    assertEquals("online", k.state(0));
  }

  /** It says that it has dissolved all, but a page is left. Expect new tries, then -EINTR. */
  @Test
  void moveUntilFree_notAllFree_triesAgain() {
    online();
    Hugetlb hugetlb = new Hugetlb();
    k.h.online().setHooks(hugetlb);
    hugepage();

    assertEquals(-Errno.EINTR, k.write(0, "offline"));

    assertEquals(2 * PATIENCE, hugetlb.dissolved.size());
  }

  /** A driver's page, offline and referenced. Expect -EBUSY; without a reference it is fine. */
  @Test
  void scanMovablePages_referencedOfflinePage_isBusy() {
    online();
    Page page = taken(0, Gfp.HIGHUSER_MOVABLE);
    k.m.mm.flags().setType(page, PageFlags.PGTY_OFFLINE);

    assertEquals(-Errno.EBUSY, k.write(0, "offline"));
    assertEquals("online", k.state(0));

    k.m.mm.refs().setPageCount(page, 0);
    assertEquals(0, k.write(0, "offline"));
  }

  // ---- who is told ----

  private final List<String> told = new ArrayList<>();

  private void listen(int refuseNode, int refuseMemory) {
    k.h
        .online()
        .nodeChain()
        .register(
            (action, arg) -> {
              told.add("node " + arg.nid() + " " + action);
              return action == refuseNode ? NotifierChain.NOTIFY_BAD : NotifierChain.NOTIFY_OK;
            });
    k.h
        .blocks()
        .registerMemoryNotifier(
            (action, arg) -> {
              told.add("memory " + arg.startPfn() + "+" + arg.nrPages() + " " + action);
              return action == refuseMemory ? NotifierChain.NOTIFY_BAD : NotifierChain.NOTIFY_OK;
            });
  }

  private static String memory(int action) {
    return "memory " + PFN + "+" + SECTION + " " + action;
  }

  private void addToNode2() {
    assertEquals(0, k.h.add().addMemory(2, START, BLOCK, MHP_NONE));
  }

  /** The first memory of a node comes and goes. Expect node and memory told before and after. */
  @Test
  void onlineOffline_firstOfTheNode_tellsBoth() {
    addToNode2();
    listen(-1, -1);

    assertEquals(0, k.write(0, "online_movable"));
    assertEquals(
        List.of(
            "node 2 " + MemoryOnline.NODE_ADDING_FIRST_MEMORY,
            memory(MemoryBlock.MEM_GOING_ONLINE),
            "node 2 " + MemoryOnline.NODE_ADDED_FIRST_MEMORY,
            memory(MemoryBlock.MEM_ONLINE)),
        told);
    assertEquals(Set.of(0, 2), k.h.online().nodeStatesMemory());
    assertEquals(Set.of(0), k.h.online().nodeStatesNormalMemory());

    told.clear();
    assertEquals(0, k.write(0, "offline"));
    assertEquals(
        List.of(
            "node 2 " + MemoryOnline.NODE_REMOVING_LAST_MEMORY,
            memory(MemoryBlock.MEM_GOING_OFFLINE),
            "node 2 " + MemoryOnline.NODE_REMOVED_LAST_MEMORY,
            memory(MemoryBlock.MEM_OFFLINE)),
        told);
    assertEquals(Set.of(0), k.h.online().nodeStatesMemory());
  }

  /** More memory of a node that has some. Expect no word about the node. */
  @Test
  void onlineOffline_notTheFirst_tellsMemoryOnly() {
    k.add(0, 1, MHP_NONE);
    listen(-1, -1);

    k.write(0, "online_movable");
    k.write(0, "offline");

    assertEquals(
        List.of(
            memory(MemoryBlock.MEM_GOING_ONLINE),
            memory(MemoryBlock.MEM_ONLINE),
            memory(MemoryBlock.MEM_GOING_OFFLINE),
            memory(MemoryBlock.MEM_OFFLINE)),
        told);
  }

  /** The node's notifier refuses the first memory. Expect both cancelled and nothing changed. */
  @Test
  void onlinePages_nodeRefuses_isCancelled() {
    addToNode2();
    HotplugMachine.Books before = k.books();
    listen(MemoryOnline.NODE_ADDING_FIRST_MEMORY, -1);

    assertEquals(-Errno.EPERM, k.write(0, "online_movable"));

    assertEquals(
        List.of(
            "node 2 " + MemoryOnline.NODE_ADDING_FIRST_MEMORY,
            memory(MemoryBlock.MEM_CANCEL_ONLINE),
            "node 2 " + MemoryOnline.NODE_CANCEL_ADDING_FIRST_MEMORY),
        told);
    assertEquals(before, k.books());
  }

  /** The memory's notifier refuses, for a node that has memory. Expect only it to be cancelled. */
  @Test
  void onlinePages_memoryRefuses_isCancelled() {
    k.add(0, 1, MHP_NONE);
    listen(-1, MemoryBlock.MEM_GOING_ONLINE);

    assertEquals(-Errno.EPERM, k.write(0, "online_movable"));

    assertEquals(
        List.of(
            memory(MemoryBlock.MEM_GOING_ONLINE), memory(MemoryBlock.MEM_CANCEL_ONLINE)),
        told);
  }

  /** Either notifier refuses to let the last memory go. Expect both cancelled, all online. */
  @Test
  void offlinePages_refused_isCancelled() {
    addToNode2();
    assertEquals(0, k.write(0, "online_movable"));
    HotplugMachine.Books before = k.books();
    listen(MemoryOnline.NODE_REMOVING_LAST_MEMORY, -1);

    assertEquals(-Errno.EPERM, k.write(0, "offline"));

    assertEquals(
        List.of(
            "node 2 " + MemoryOnline.NODE_REMOVING_LAST_MEMORY,
            memory(MemoryBlock.MEM_CANCEL_OFFLINE),
            "node 2 " + MemoryOnline.NODE_CANCEL_REMOVING_LAST_MEMORY),
        told);
    assertEquals(before, k.books());
    assertEquals(Set.of(0, 2), k.h.online().nodeStatesMemory());
  }

  /** Kernel memory of a node goes. Expect the node to have no normal memory any more. */
  @Test
  void offlinePages_lastKernelMemory_leavesNormalMemory() {
    addToNode2();
    assertEquals(0, k.h.add().addMemory(2, START + BLOCK, BLOCK, MHP_NONE));
    assertEquals(0, k.write(0, "online_kernel"));
    assertEquals(0, k.write(1, "online_movable"));
    assertEquals(Set.of(0, 2), k.h.online().nodeStatesNormalMemory());

    assertEquals(0, k.write(0, "offline"));

    assertEquals(Set.of(0), k.h.online().nodeStatesNormalMemory());
    assertEquals(Set.of(0, 2), k.h.online().nodeStatesMemory());
  }

  // ---- the kernel's own notifiers ----

  /**
   * The module that refuses on demand, and slub's caches of a node.
   *
   * <p>Expect each to refuse where it is asked, -ENOMEM each time, and the caches to be made once.
   */
  @Test
  void notifierErrInject_machineFails_refuses() {
    new NotifierErrInject(k.m.mm).errInjectInit(k.h.online());
    addToNode2();
    k.m.failAll("slab_mem_going_online_callback");
    assertEquals(-Errno.ENOMEM, k.write(0, "online_movable"));
    assertEquals(-Errno.ENOMEM, k.write(0, "online_movable"));
    k.m.machine.faults().disarm();
    assertEquals(0, k.write(0, "online_movable"));

    k.m.failAll("notifier_err_inject_callback");
    assertEquals(-Errno.ENOMEM, k.write(0, "offline"));
    assertEquals(1, k.m.machine.faults().asked());
    k.m.machine.faults().disarm();
    assertEquals(0, k.write(0, "offline"));
    k.m.failAll("notifier_err_inject_callback");
    assertEquals(-Errno.ENOMEM, k.write(0, "online_movable"));

    k.m.failAll("slab_mem_going_online_callback");
    assertEquals(0, k.write(0, "online_movable"));
    assertEquals(0, k.m.machine.faults().failed());
  }

  /** Memory of a node that had some before comes back. Expect its caches to be there already. */
  @Test
  void notifierErrInject_nodeWithMemory_hasItsCaches() {
    addToNode2();
    assertEquals(0, k.write(0, "online_movable"));
    new NotifierErrInject(k.m.mm).errInjectInit(k.h.online());
    assertEquals(0, k.write(0, "offline"));
    k.m.failAll("slab_mem_going_online_callback");

    assertEquals(0, k.write(0, "online_movable"));
    assertEquals(0, k.m.machine.faults().asked());
  }

  /** The second in the chain stops it. Expect the third not to be called, a removed one neither. */
  @Test
  void notifierChain_stop_endsTheChain() {
    NotifierChain<String> chain = new NotifierChain<>();
    List<String> calls = new ArrayList<>();
    NotifierChain.Block<String> gone = (action, arg) -> NotifierChain.NOTIFY_BAD;
    chain.register(gone);
    chain.unregister(gone);
    assertEquals(NotifierChain.NOTIFY_DONE, chain.call(1, "x"));
    chain.register(
        (action, arg) -> {
          calls.add(arg + action);
          return NotifierChain.NOTIFY_OK;
        });
    assertEquals(NotifierChain.NOTIFY_OK, chain.call(1, "x"));
    chain.register((action, arg) -> NotifierChain.notifierFromErrno(-Errno.EBUSY));
    chain.register(
        (action, arg) -> {
          calls.add("never");
          return 0;
        });

    assertEquals(-Errno.EBUSY, NotifierChain.notifierToErrno(chain.call(2, "y")));
    assertEquals(List.of("x1", "y2"), calls);
    assertEquals(NotifierChain.NOTIFY_OK, NotifierChain.notifierFromErrno(0));
  }

  // ---- refusals ----

  private int offline(long startPfn, long nrPages) {
    k.h.locks().lockDeviceHotplug();
    k.h.locks().memHotplugBegin();
    try {
      return k.h.online().offlinePages(startPfn, nrPages, movable, null);
    } finally {
      k.h.locks().memHotplugDone();
      k.h.locks().unlockDeviceHotplug();
    }
  }

  /** Ranges that are no sections, or empty. Expect the warning and -EINVAL for each end. */
  @Test
  void offlinePages_misaligned_warns() {
    online();
    assertEquals(-Errno.EINVAL, offline(PFN + 1, SECTION - 1));
    assertEquals(
        List.of("offline_pages: !nr_pages || misaligned"), k.m.warnings());
    assertEquals(-Errno.EINVAL, offline(PFN, 512));
    assertEquals(-Errno.EINVAL, offline(PFN, 0));
    assertEquals(SECTION, movable.presentPages);
  }

  /** The same for memory that is to go online. Expect the zone as it was. */
  @Test
  void onlinePages_misaligned_warns() {
    k.add(0, 1, MHP_NONE);
    k.h.locks().memHotplugBegin();

    assertEquals(-Errno.EINVAL, k.h.online().onlinePages(PFN, 512, movable, null));

    k.h.locks().memHotplugDone();
    assertEquals(List.of("online_pages: !nr_pages || misaligned"), k.m.warnings());
    assertTrue(movable.isEmpty());
  }

  /** Part of the range is no RAM any more. Expect -EINVAL before anything is done. */
  @Test
  void offlinePages_hole_isRefused() {
    online();
    k.iomem.releaseMemRegionAdjustable(START + BLOCK / 2, BLOCK / 2);
    List<String> why = reasons();

    assertEquals(-Errno.EINVAL, k.write(0, "offline"));

    assertEquals(List.of("offline failed: memory holes"), why);
    assertEquals(SECTION, movable.nrFreePages);
  }

  /** The last page says another zone. Expect the warning and -EINVAL. */
  @Test
  void offlinePages_otherZone_isRefused() {
    online();
    List<String> why = reasons();
    k.m.mm.inline().setPageZone(k.page(PFN + SECTION - 1), ZoneType.ZONE_NORMAL);

    assertEquals(-Errno.EINVAL, k.write(0, "offline"));

    assertEquals(List.of("offline_pages: page_zone() != zone"), k.m.warnings());
    assertEquals(List.of("offline failed: multizone range"), why);
    k.m.mm.inline().setPageZone(k.page(PFN + SECTION - 1), ZoneType.ZONE_MOVABLE);
    k.m.mm.inline().setPageZone(k.page(PFN), ZoneType.ZONE_NORMAL);
    assertEquals(-Errno.EINVAL, k.write(0, "offline"));
  }

  /** What the debug line would say, in order. */
  private List<String> reasons() {
    List<String> why = new ArrayList<>();
    k.m
        .machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.startsWith("offline failed")) {
                why.add(what);
              }
            });
    return why;
  }

  /** Each of the later reasons. Expect isolation, notifiers and pages to be told apart. */
  @Test
  void offlinePages_laterFailures_haveTheirReasons() {
    online();
    taken(0, Gfp.HIGHUSER_MOVABLE);
    List<String> why = reasons();
    k.write(0, "offline");
    listen(-1, MemoryBlock.MEM_GOING_OFFLINE);
    k.write(0, "offline");

    assertEquals(
        List.of("offline failed: pages in use", "offline failed: notifier failure"), why);
    assertFalse(k.h.locks().held());
  }

  // ---- books ----

  /**
   * A boot block that is free as a whole goes offline and comes back.
   *
   * <pre>
   *   section   0    1    2
   *            |####|    |####|     early: 3 * 32768 - what is not in this zone
   * </pre>
   *
   * Expect pages of boot to count as such both times.
   */
  @Test
  void adjustPresentPageCount_bootMemory_countsAsEarly() {
    Zone dma32 = k.m.zone(0, ZoneType.ZONE_DMA32);
    long early = dma32.presentEarlyPages;
    long present = dma32.presentPages;
    long node = k.m.mm.nodes().nodeData(0).nodePresentPages;
    String state = "/sys/devices/system/memory/memory1/state";

    assertEquals(0, k.h.sysfs().write(state, "offline"));
    assertEquals(early - SECTION, dma32.presentEarlyPages);
    assertEquals(present - SECTION, dma32.presentPages);
    assertEquals(node - SECTION, k.m.mm.nodes().nodeData(0).nodePresentPages);

    assertEquals(0, k.h.sysfs().write(state, "online"));
    assertEquals(early, dma32.presentEarlyPages);
    assertEquals(present, dma32.presentPages);
    assertEquals(List.of(), k.m.warnings());
  }

  /** Hot-added memory. Expect none of it to count as of boot. */
  @Test
  void adjustPresentPageCount_addedMemory_isNotEarly() {
    online();

    assertEquals(0, movable.presentEarlyPages);
    assertEquals(SECTION, movable.presentPages);
  }

  /** Blocks of a group. Expect the group to count kernel and movable pages apart. */
  @Test
  void adjustPresentPageCount_group_countsByKind() {
    int mgid = k.h.groups().memoryGroupRegisterDynamic(0, 4 * SECTION);
    MemoryGroup group = Objects.requireNonNull(k.h.groups().memoryGroupFindById(mgid));
    assertEquals(0, k.h.add().addMemory(mgid, START, 3 * BLOCK, MHP_NID_IS_MGID));
    assertEquals(3, group.memoryBlocks.size());

    k.write(0, "online_kernel");
    k.write(1, "online_movable");
    k.write(2, "online_movable");
    assertEquals(SECTION, group.presentKernelPages);
    assertEquals(2 * SECTION, group.presentMovablePages);

    k.write(0, "offline");
    k.write(2, "offline");
    assertEquals(0, group.presentKernelPages);
    assertEquals(SECTION, group.presentMovablePages);
    assertEquals(0, k.remove(0, 1));
    assertEquals(2, group.memoryBlocks.size());
  }

  /** A self-hosted block of a group. Expect its memmap to count in the group, too. */
  @Test
  void adjustPresentPageCount_selfHostedGroup_countsTheMemmap() {
    k.selfHosted();
    int mgid = k.h.groups().memoryGroupRegisterDynamic(0, 4 * SECTION);
    MemoryGroup group = Objects.requireNonNull(k.h.groups().memoryGroupFindById(mgid));
    int flags = MHP_NID_IS_MGID | MHP_MEMMAP_ON_MEMORY;
    assertEquals(0, k.h.add().addMemory(mgid, START, BLOCK, flags));

    k.write(0, "online_movable");
    assertEquals(SECTION, group.presentMovablePages);
    k.write(0, "offline");
    assertEquals(0, group.presentMovablePages);
  }

  /** Offline memory of an architecture that keeps memblock, and of one that does not. */
  @Test
  void unbook_keepMemblock_ownsTheFrames() {
    online();
    assertEquals(0, k.write(0, "offline"));
    assertEquals(Owner.NONE, k.m.machine.ledger().ownerOf(PFN));

    HotplugMachine keeps = new HotplugMachine();
    keeps.m.arch.keepMemblock = true;
    assertEquals(0, keeps.add(0, 1, MHP_NONE));
    assertTrue(keeps.m.memblock.memblockIsMemory(START));
    assertEquals(0, keeps.write(0, "online_movable"));
    assertEquals(0, keeps.write(0, "offline"));
    assertEquals(Owner.MEMBLOCK, keeps.m.machine.ledger().ownerOf(PFN));
    assertEquals(Owner.MEMBLOCK, keeps.m.machine.ledger().ownerOf(PFN + SECTION - 1));
    assertEquals(0, keeps.remove(0, 1));
    assertFalse(keeps.m.memblock.memblockIsMemory(START));
    keeps.assertQuiet();
  }

  /** A freed page waits on its CPU's list, in a zone that has lists of its own. */
  private void assertListsPerCpu() {
    k.drain();
    long free = movable.nrFreePages;
    k.m.pageAlloc.freePages(taken(0, Gfp.HIGHUSER_MOVABLE), 0);
    assertTrue(movable.nrFreePages < free);
    k.drain();
    assertEquals(free, movable.nrFreePages);
  }

  /** A zone gets its first pages. Expect it to have lists for each CPU. */
  @Test
  void onlinePages_emptyZone_getsListsForEachCpu() {
    online();
    assertListsPerCpu();
  }

  /** Of two blocks of a zone one goes, and the other is refused. Expect lists for each CPU again. */
  @Test
  void offlinePages_doneOrRefused_turnsListsOnAgain() {
    assertEquals(0, k.add(0, 2, MHP_NONE));
    assertEquals(0, k.write(0, "online_movable"));
    assertEquals(0, k.write(1, "online_movable"));
    assertEquals(0, k.write(1, "offline"));
    assertListsPerCpu();

    k.h
        .blocks()
        .registerMemoryNotifier(
            (action, arg) ->
                action == MemoryBlock.MEM_GOING_OFFLINE
                    ? NotifierChain.NOTIFY_BAD
                    : NotifierChain.NOTIFY_OK);
    assertEquals(-Errno.EPERM, k.write(0, "offline"));
    assertListsPerCpu();
  }

  /** The memmap of a block takes a section or more. Expect that online, and its pages marked. */
  @ParameterizedTest
  @ValueSource(longs = {0, 1})
  void mhpInitMemmapOnMemory_wholeSection_isOnline(long morePageblocks) {
    assertEquals(0, k.add(0, 2, MHP_NONE));
    k.h.locks().memHotplugBegin();
    MemSection first = k.m.mm.mmzone().section(PFN / SECTION);
    MemSection second = k.m.mm.mmzone().section(PFN / SECTION + 1);
    long pages = SECTION + morePageblocks * k.m.mm.mmzone().pageblockNrPages();

    assertEquals(0, k.h.online().mhpInitMemmapOnMemory(PFN, pages, movable));

    assertTrue(k.m.mm.mmzone().onlineSection(first));
    assertFalse(k.m.mm.mmzone().onlineSection(second));
    assertTrue(selfHosted(PFN + pages - 1));
    assertFalse(k.m.mm.flags().hasType(k.page(PFN), PageFlags.PGTY_OFFLINE));

    k.h.online().mhpDeinitMemmapOnMemory(PFN, pages);
    assertFalse(k.m.mm.mmzone().onlineSection(first));
    assertTrue(movable.isEmpty());
    k.h.locks().memHotplugDone();
  }

  private boolean selfHosted(long pfn) {
    return k.m.mm.flags().test(k.page(pfn), PageFlags.PG_VMEMMAP_SELF_HOSTED);
  }

  /** No memory for the shadow of a memmap in its block. Expect -ENOMEM, and nothing in the zone. */
  @Test
  void mhpInitMemmapOnMemory_noShadow_isRefused() {
    assertEquals(0, k.add(0, 1, MHP_NONE));
    k.h.locks().memHotplugBegin();
    k.m.machine.faults().failNth(1, "kasan_add_zero_shadow"::equals);
    long pages = k.m.mm.mmzone().pageblockNrPages();
    assertEquals(-Errno.ENOMEM, k.h.online().mhpInitMemmapOnMemory(PFN, pages, movable));
    assertTrue(movable.isEmpty());
    k.h.locks().memHotplugDone();
  }

  /** Without the lock. Expect a BUG even for a range that would be refused. */
  @Test
  void onlinePages_withoutTheLock_isABug() {
    assertEquals(0, k.add(0, 1, MHP_NONE));
    assertThrows(KernelBug.class, () -> k.h.online().onlinePages(PFN, 512, movable, null));
  }

  /** Pages that one allocation takes from the buddy for its CPU's list. */
  private long batch() {
    k.drain();
    long free = movable.nrFreePages;
    Page page = taken(0, Gfp.HIGHUSER_MOVABLE);
    long took = free - movable.nrFreePages;
    k.m.pageAlloc.freePages(page, 0);
    return took;
  }

  /** A zone gets one block, another, and loses one. Expect batches that go by its size each time. */
  @Test
  void onlineOffline_size_setsTheBatch() {
    assertEquals(0, k.add(0, 2, MHP_NONE));
    assertEquals(0, k.write(0, "online_movable"));
    assertEquals(7, batch());
    assertEquals(0, k.write(1, "online_movable"));
    assertEquals(15, batch());
    assertEquals(0, k.write(1, "offline"));
    assertEquals(7, batch());
  }

  /** A zone gets its first pages, and loses its last. Expect zonelists with and without it. */
  @Test
  void onlineOffline_emptyZone_rebuildsZonelists() {
    k.add(0, 1, MHP_NONE);
    k.write(0, "online_movable");
    Page first = k.m.pageAlloc.allocPagesNode(0, Gfp.HIGHUSER_MOVABLE, 0, "test");
    assertNotNull(first);
    assertEquals(movable, k.m.mm.inline().pageZone(first));
    k.m.pageAlloc.freePages(first, 0);
    k.drain();

    assertEquals(0, k.write(0, "offline"));

    Page later =
        Objects.requireNonNull(k.m.pageAlloc.allocPagesNode(0, Gfp.HIGHUSER_MOVABLE, 0, "test"));
    assertEquals(ZoneType.ZONE_DMA32, k.m.mm.inline().pageZone(later).idx());
    assertEquals(0, movable.managedPages);
  }
}
