// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Lists that run through struct pages, and the memory that list heads live in. */
class ListsTest {
  private final Mm mm = TestMm.debian();
  private final Lists lists = mm.lists();
  private final ListHead head = lists.newHead();
  private final ListHead other = lists.newHead();
  private final ListHead a = entry(1);
  private final ListHead b = entry(2);
  private final ListHead c = entry(3);

  @BeforeEach
  void fill() {
    lists.listAddTail(a, head);
    lists.listAddTail(b, head);
  }

  /** Entries at both ends. Expect list_add() in front, list_add_tail() at the end. */
  @Test
  void listAdd_bothEnds_keepsTheOrder() {
    lists.listAdd(c, head);

    assertEquals(List.of(3L, 1L, 2L), pfns(head));
    assertEquals(c, lists.first(head));
    assertEquals(b, lists.prev(head));
    assertEquals(a, lists.next(c));
  }

  /** A deleted entry. Expect poison in its pointers, as the kernel leaves it. */
  @Test
  void listDel_entry_isPoisoned() {
    lists.listDel(a);

    assertEquals(List.of(2L), pfns(head));
    assertEquals(mm.lists().listPoison1(), mm.machine().cpu().readLong(a.va()));
    assertEquals(mm.lists().listPoison2(), mm.machine().cpu().readLong(a.va() + 8));
    assertEquals(0xdead_0000_0000_0100L, mm.lists().listPoison1());
    assertEquals(0xdead_0000_0000_0122L, mm.lists().listPoison2());
  }

  /** A deleted and initialised entry is a list of its own. */
  @Test
  void listDelInit_entry_isEmpty() {
    lists.listDelInit(a);

    assertTrue(lists.listEmpty(a));
    assertEquals(List.of(2L), pfns(head));
  }

  /** Moves between lists. Expect front and end. */
  @Test
  void listMove_betweenLists_changesOwner() {
    lists.listAdd(c, other);

    lists.listMove(b, other);
    lists.listMoveTail(a, other);

    assertTrue(lists.listEmpty(head));
    assertEquals(List.of(2L, 3L, 1L), pfns(other));
  }

  /**
   * A list spliced into another.
   *
   * <pre>
   *   head: a b     other: c     ->     head: -     other: a b c
   * </pre>
   */
  @Test
  void listSpliceInit_intoFront_emptiesTheFirst() {
    lists.listAdd(c, other);

    lists.listSpliceInit(head, other);
    lists.listSpliceInit(head, other);

    assertTrue(lists.listEmpty(head));
    assertEquals(List.of(1L, 2L, 3L), pfns(other));
  }

  /** Heads of functions live on a stack. Expect last made, first released. */
  @Test
  void localHead_nested_isReleasedInReverse() {
    ListHead first = lists.localHead();
    ListHead second = lists.localHead();

    assertFalse(first.va() == second.va());
    assertThrows(IllegalStateException.class, () -> lists.release(first));
    lists.release(second);
    lists.release(first);
    assertEquals(first, lists.localHead());
  }

  /** Static data and stack share a run of bytes. Expect a clear refusal when they meet. */
  @Test
  void kernelData_full_isRefused() {
    KernelData data = new KernelData(0x1000, 32);

    assertEquals(0x1000, data.alloc(16));
    assertEquals(0x1010, data.push(0, 16));
    assertThrows(IllegalStateException.class, () -> data.alloc(8));
  }

  /** More given back than taken. Expect a refusal. */
  @Test
  void kernelData_popBeyondTheEnd_isRefused() {
    KernelData data = new KernelData(0x1000, 32);

    assertThrows(IllegalStateException.class, () -> data.pop(0, 0x1020, 16));
  }

  private ListHead entry(long pfn) {
    return mm.struct().lru(mm.model().pfnToPage(pfn));
  }

  private List<Long> pfns(ListHead list) {
    List<Long> found = new ArrayList<>();
    for (ListHead at = lists.first(list); !at.equals(list); at = lists.next(at)) {
      found.add(mm.model().pageToPfn(mm.struct().ofLru(at)));
    }
    return found;
  }

  /** CPUs that need a stack late. Expect 4 KiB for each, below the one before. */
  @Test
  void kernelData_secondAndThirdCpu_haveStacksBelow() {
    KernelData data = new KernelData(0x1000, 0x8000);

    assertEquals(0x7000 - 16, data.push(2, 16));
    assertEquals(0x8000 - 32, data.push(1, 32));
    assertEquals(0x9000 - 8, data.push(0, 8));
    data.pop(2, 0x7000 - 16, 16);
    assertThrows(IllegalStateException.class, () -> data.pop(2, 0x7000, 16));
    assertEquals(0x7000 - 24, data.push(2, 24));
  }

  /** A stack that grows into the data, and one that just does not. Expect the refusal at one byte. */
  @Test
  void kernelData_stackMeetsTheData_isRefused() {
    KernelData data = new KernelData(0x1000, 64);
    data.alloc(32);

    assertEquals(0x1020, data.push(0, 32));
    assertThrows(IllegalStateException.class, () -> data.push(0, 1));
  }

  /** A list spliced into another, walked backwards. Expect the same entries as forwards. */
  @Test
  void listSpliceInit_backwards_isTheSame() {
    lists.listAdd(c, other);

    lists.listSpliceInit(head, other);

    assertEquals(c, lists.prev(other));
    assertEquals(b, lists.prev(c));
    assertEquals(a, lists.prev(b));
    assertEquals(other, lists.prev(a));
    assertEquals(head, lists.prev(head));
  }

  /** An entry in the middle goes. Expect its neighbours to know each other, both ways. */
  @Test
  void listDel_middle_neighboursAreLinked() {
    lists.listAddTail(c, head);

    lists.listDel(b);

    assertEquals(c, lists.next(a));
    assertEquals(a, lists.prev(c));
    lists.listMove(c, other);
    assertEquals(a, lists.prev(head));
  }

  /** The head of a function where another one was. Expect an empty list, whatever was there. */
  @Test
  void localHead_usedMemory_isEmpty() {
    ListHead local = lists.localHead();
    lists.listAdd(c, local);
    lists.release(local);

    assertTrue(lists.listEmpty(lists.localHead()));
  }
}
