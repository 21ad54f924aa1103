// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.types.Align;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;

/**
 * The buffer that boot memmap was cut from before 7.2: one piece of memory for all sections of a
 * node, aligned to what the memmap of one takes, and on the node or not at all.
 *
 * <pre>
 *   buf                                                        end
 *    [ section 0 ][ section 1 ] gap [ section 2 ]      rest      ]
 *                               back, for alignment    back at the end of the node
 * </pre>
 *
 * A request that it cannot serve goes to memblock. Linear addresses; sizes in bytes, requests in
 * powers of two. Boot only, one node after the other.
 */
@Kernel(
    file = "mm/sparse-vmemmap.c",
    symbol = "vmemmap_alloc_block_buf",
    fidelity = Kernel.Fidelity.CUSTOM,
    why = "sparse_buffer_init(), _alloc(), _free() and _fini() are in no reference kernel any more.")
final class SparseBuffer {
  private static final long NULL = 0;

  private final Mm mm;
  private final Memblock memblock;
  private final SparseVmemmap vmemmap;
  private long buf = NULL;
  private long end = NULL;

  SparseBuffer(Mm mm, Memblock memblock, SparseVmemmap vmemmap) {
    this.mm = mm;
    this.memblock = memblock;
    this.vmemmap = vmemmap;
  }

  /**
   * Allocates the buffer; without memory for it there is none, which is no error. All of it is
   * booked as VMEMMAP, until {@link #free} gives a part back.
   */
  void init(long size, int nid) {
    if (mm.series().allocatesEachMemmapBlock()) {
      return;
    }
    mm.printk().warnOn(buf != NULL, "sparse_buffer_init: sparsemap_buf");
    buf = mm.mayFail("sparse_buffer_init") ? NULL : vmemmap.allocSparseBuffer(size, nid);
    end = buf == NULL ? NULL : buf + size;
    if (buf != NULL) {
      mm.own(mm.model().physPfn(mm.model().pa(buf)), size >>> mm.model().pageShift(), Owner.VMEMMAP);
    }
  }

  /** Cuts {@code size} bytes off, aligned to their size; 0 when they do not fit. */
  long alloc(long size) {
    if (buf == NULL) {
      return NULL;
    }
    long ptr = Align.align(buf, size);
    if (ptr + size > end) {
      return NULL;
    }
    free(buf, ptr - buf);
    buf = ptr + size;
    return ptr;
  }

  /** Gives the rest back. */
  void fini() {
    if (buf != NULL) {
      free(buf, end - buf);
    }
    buf = NULL;
  }

  private void free(long va, long size) {
    if (size > 0) {
      memblock.memblockFree(va, size);
    }
  }
}
