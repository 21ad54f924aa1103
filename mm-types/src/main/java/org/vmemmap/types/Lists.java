// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import org.vmemmap.machine.Machine;

/** Doubly linked lists that run through simulated memory. */
@Kernel(file = "include/linux/list.h", symbol = "list_add")
public final class Lists {
  private final Machine machine;
  private final KernelData data;
  private final long poisonPointerDelta;

  Lists(Machine machine, KernelData data, MmConfig config) {
    this.machine = machine;
    this.data = data;
    this.poisonPointerDelta = config.illegalPointerValue();
  }

  /** {@code LIST_POISON1}: next of an entry that was deleted. */
  @Kernel(file = "include/linux/poison.h", symbol = "LIST_POISON1")
  public long listPoison1() {
    return poisonPointerDelta + 0x100;
  }

  /** {@code LIST_POISON2}: prev of an entry that was deleted. */
  @Kernel(file = "include/linux/poison.h", symbol = "LIST_POISON2")
  public long listPoison2() {
    return poisonPointerDelta + 0x122;
  }

  /** {@code LIST_HEAD(x)} with static storage: an empty list that lives as long as the kernel. */
  public ListHead newHead() {
    ListHead head = new ListHead(data.alloc(16));
    initListHead(head);
    return head;
  }

  /** {@code LIST_HEAD(x)} of a function: give it back with {@link #release}. */
  public ListHead localHead() {
    ListHead head = new ListHead(data.push(machine.cpu().number(), 16));
    initListHead(head);
    return head;
  }

  /** Ends the life of a {@link #localHead}; last made, first released. */
  public void release(ListHead head) {
    data.pop(machine.cpu().number(), head.va(), 16);
  }

  /** {@code INIT_LIST_HEAD()}. */
  @Kernel(file = "include/linux/list.h", symbol = "INIT_LIST_HEAD")
  public void initListHead(ListHead head) {
    setNext(head.va(), head.va());
    setPrev(head.va(), head.va());
  }

  /** {@code list_add()}: behind the head, so as the first entry. */
  @Kernel(file = "include/linux/list.h", symbol = "list_add")
  public void listAdd(ListHead entry, ListHead head) {
    insert(entry.va(), head.va(), next(head.va()));
  }

  /** {@code list_add_tail()}: as the last entry. */
  @Kernel(file = "include/linux/list.h", symbol = "list_add_tail")
  public void listAddTail(ListHead entry, ListHead head) {
    insert(entry.va(), prev(head.va()), head.va());
  }

  /** {@code list_del()}: the entry's pointers are poisoned. */
  @Kernel(file = "include/linux/list.h", symbol = "list_del")
  public void listDel(ListHead entry) {
    unlink(entry.va());
    setNext(entry.va(), listPoison1());
    setPrev(entry.va(), listPoison2());
  }

  /** {@code list_del_init()}. */
  @Kernel(file = "include/linux/list.h", symbol = "list_del_init")
  public void listDelInit(ListHead entry) {
    unlink(entry.va());
    initListHead(entry);
  }

  /** {@code list_move()}: to the front of another list. */
  @Kernel(file = "include/linux/list.h", symbol = "list_move")
  public void listMove(ListHead entry, ListHead head) {
    unlink(entry.va());
    listAdd(entry, head);
  }

  /** {@code list_move_tail()}: to the end of another list. */
  @Kernel(file = "include/linux/list.h", symbol = "list_move_tail")
  public void listMoveTail(ListHead entry, ListHead head) {
    unlink(entry.va());
    listAddTail(entry, head);
  }

  /** {@code list_empty()}. */
  @Kernel(file = "include/linux/list.h", symbol = "list_empty")
  public boolean listEmpty(ListHead head) {
    return next(head.va()) == head.va();
  }

  /** {@code head->next}; the head itself when the list is empty. */
  public ListHead first(ListHead head) {
    return new ListHead(next(head.va()));
  }

  /** {@code entry->next}. */
  public ListHead next(ListHead entry) {
    return new ListHead(next(entry.va()));
  }

  /** {@code entry->prev}. */
  public ListHead prev(ListHead entry) {
    return new ListHead(prev(entry.va()));
  }

  /** {@code list_splice_init()}: moves all entries of {@code list} to the front of {@code head}. */
  @Kernel(file = "include/linux/list.h", symbol = "list_splice_init")
  public void listSpliceInit(ListHead list, ListHead head) {
    if (listEmpty(list)) {
      return;
    }
    long first = next(list.va());
    long last = prev(list.va());
    long at = next(head.va());
    setPrev(first, head.va());
    setNext(head.va(), first);
    setNext(last, at);
    setPrev(at, last);
    initListHead(list);
  }

  private void insert(long entry, long prev, long next) {
    setPrev(next, entry);
    setNext(entry, next);
    setPrev(entry, prev);
    setNext(prev, entry);
  }

  private void unlink(long entry) {
    long next = next(entry);
    long prev = prev(entry);
    setPrev(next, prev);
    setNext(prev, next);
  }

  private long next(long va) {
    return machine.cpu().readLong(va);
  }

  private long prev(long va) {
    return machine.cpu().readLong(va + 8);
  }

  private void setNext(long va, long value) {
    machine.cpu().writeLong(va, value);
  }

  private void setPrev(long va, long value) {
    machine.cpu().writeLong(va + 8, value);
  }
}
