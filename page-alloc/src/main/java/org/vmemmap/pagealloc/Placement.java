// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

/**
 * Where the hugepages of a captured machine lay. A real machine's memory is also used by others,
 * who are not modelled; so which block an allocator finds is an input. {@link #NONE} leaves all
 * choices to the allocators.
 */
public interface Placement {
  /** No advice. */
  Placement NONE =
      new Placement() {
        @Override
        public long next(int order, int nid) {
          return -1;
        }

        @Override
        public boolean kept(long startPfn, long endPfn) {
          return false;
        }

        @Override
        public boolean advises() {
          return false;
        }
      };

  /** False when there is never any advice, and nothing is kept: the allocators need not ask. */
  default boolean advises() {
    return true;
  }

  /**
   * The pfn at which the next block of 2^{@code order} pages, wanted for a hugepage on node {@code
   * nid}, is to be found, or -1 for no advice. Does not consume the advice: a block that is taken
   * is no longer free and the next answer is another one.
   *
   * @param nid node, or -1 for any
   */
  long next(int order, int nid);

  /**
   * True when the captured machine had no other such block than those that {@link #next} names: an
   * allocation of a hugepage that gets no advice fails then, instead of looking elsewhere.
   *
   * @param order order of the block
   * @param nid node that the hugepage is wanted on
   */
  default boolean exhausted(int order, int nid) {
    return false;
  }

  /** True when part of the pfns is kept for a hugepage and not to be used for anything else. */
  boolean kept(long startPfn, long endPfn);

  /**
   * The least order that there is advice for. Compound pages that are smaller are nobody's
   * hugepages. {@code pageblockOrder} is what it is where all hugepages fill pageblocks.
   */
  default int smallestOrder(int pageblockOrder) {
    return pageblockOrder;
  }
}
