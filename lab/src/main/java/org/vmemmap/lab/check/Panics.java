// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.vmemmap.types.KernelPanic;

/**
 * The panics with which the kernel itself answers that it gets no memory at boot: what it says, the
 * function that says so, and the request whose refusal leads there. Any other panic is a bug.
 */
final class Panics {
  private static final String MEMBLOCK = "memblock_alloc_range_nid";

  /**
   * One of them.
   *
   * @param method Java method that panics
   * @param text how the message begins
   * @param after sites of which the last refusal is one
   */
  private record Answer(String method, String text, Set<String> after) {
    boolean is(KernelPanic panic) {
      StackTraceElement top = panic.getStackTrace()[0];
      String type = top.getClassName().substring(top.getClassName().lastIndexOf('.') + 1);
      return method.equals(type + "." + top.getMethodName())
          && String.valueOf(panic.getMessage()).startsWith(text);
    }
  }

  private static final List<Answer> ALL =
      List.of(
          new Answer("NodeData.allocNodeData", "Cannot allocate ", Set.of(MEMBLOCK)),
          new Answer(
              "Memblock.memblockAllocOrPanic",
              "memblock_alloc_or_panic: Failed to allocate ",
              Set.of(MEMBLOCK)),
          new Answer(
              "Sparse.sparseIndexAlloc",
              "sparse_index_alloc: Failed to allocate ",
              Set.of("sparse_index_alloc", MEMBLOCK)),
          new Answer(
              "Sparse.sparseInitNid",
              "Failed to allocate usemap for node ",
              Set.of("sparse_usage_init", MEMBLOCK)),
          new Answer(
              "Sparse.populateEarlySection",
              "Failed to allocate memmap for section ",
              Set.of("vmemmap_alloc_block", "vmemmap_get_tail", "hpte_insert", MEMBLOCK)),
          new Answer(
              "HugetlbVmemmap.populateBootmemPage",
              "Failed to allocate memmap for HugeTLB page",
              Set.of("vmemmap_alloc_block", "vmemmap_get_tail", MEMBLOCK)),
          new Answer(
              "RadixPgtable.earlyAllocPgtable",
              "early_alloc_pgtable: Failed to allocate ",
              Set.of("early_alloc_pgtable", MEMBLOCK)),
          new Answer(
              "MemoryBlocks.memoryDevInit",
              "memory_dev_init() failed to add memory block: -12",
              Set.of("add_memory_block", "device_register", "xa_store", "allocate_slab")));

  private Panics() {}

  /**
   * True for a panic that answers a refusal.
   *
   * @param failed the sites that were made to fail, in order; with none the machine itself is too
   *     small, and any of these panics will do
   */
  static boolean answers(KernelPanic panic, List<String> failed) {
    Stream<Answer> same = ALL.stream().filter(answer -> answer.is(panic));
    return same.anyMatch(answer -> failed.isEmpty() || answer.after().contains(failed.getLast()));
  }
}
