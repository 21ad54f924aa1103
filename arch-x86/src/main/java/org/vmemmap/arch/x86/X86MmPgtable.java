// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.x86;

import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_PSE;

import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.Pmd;
import org.vmemmap.types.Prot;
import org.vmemmap.types.Ptr;

/**
 * Top-level tables of processes, and large mappings of the kernel.
 *
 * <pre>
 *   init_mm             a process
 *  +-----------+       +-----------+
 *  |           |       |  its own  |   user half
 *  +-----------+       +-----------+  KERNEL_PGD_BOUNDARY = pgd_index(PAGE_OFFSET)
 *  | direct map|------>|   copy    |   copied by pgd_ctor(), kept equal
 *  |  vmemmap  |------>|   copy    |   by sync_global_pgds()
 *  +-----------+       +-----------+
 * </pre>
 */
@Kernel(file = "arch/x86/mm/pgtable.c", symbol = "pgd_alloc")
public final class X86MmPgtable {
  private static final int PTRS_PER_PGD = 512;

  private final Mm mm;
  private final PageAlloc pageAlloc;
  private final X86PageTable format;
  private final PgdList pgdList;

  /** Takes the format that the machine was made with. */
  public X86MmPgtable(Mm mm, PageAlloc pageAlloc, X86PageTable format) {
    this.mm = mm;
    this.pageAlloc = pageAlloc;
    this.format = format;
    this.pgdList = new PgdList(mm);
  }

  /** {@code pgd_list}. */
  public PgdList pgdList() {
    return pgdList;
  }

  @Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "KERNEL_PGD_BOUNDARY")
  private int kernelPgdBoundary() {
    return format.index(format.geometry().pageOffset(), format.levels() - 1);
  }

  @Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "KERNEL_PGD_PTRS")
  private int kernelPgdPtrs() {
    return PTRS_PER_PGD - kernelPgdBoundary();
  }

  /**
   * Fills the kernel half of a new table and lists it, under pgd_lock: a sync that comes between
   * would be missed otherwise.
   */
  @Kernel(file = "arch/x86/mm/pgtable.c", symbol = "pgd_ctor")
  private void pgdCtor(long pgd) {
    long offset = 8L * kernelPgdBoundary();
    long initMm = mm.pgtable().initMmPgd();
    mm.machine().cpu().copy(pgd + offset, initMm + offset, 8L * kernelPgdPtrs());
    pgdList.pgdListAdd(pgd);
  }

  /** The table gets no more syncs. */
  @Kernel(file = "arch/x86/mm/pgtable.c", symbol = "pgd_dtor")
  private void pgdDtor(long pgd) {
    pgdList.lock();
    pgdList.pgdListDel(pgd);
    pgdList.unlock();
  }

  /**
   * {@code pgd_alloc()}: the top-level table of a new process, the kernel half filled in. Needs the
   * page allocator.
   *
   * @return its linear address, or 0
   */
  @Kernel(
      file = "arch/x86/mm/pgtable.c",
      symbol = "pgd_alloc",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "One page and no tables below: page-table isolation and PAE are not modelled.")
  public long pgdAlloc() {
    Page page = pageAlloc.allocPagesNode(0, Gfp.KERNEL.or(Gfp.ZERO), 0, "pgd_alloc");
    if (page == null) {
      return 0;
    }
    mm.own(mm.model().pageToPfn(page), 1, Owner.PAGE_TABLE);
    long pgd = mm.model().pageAddress(page);
    pgdList.lock();
    pgdCtor(pgd);
    pgdList.unlock();
    return pgd;
  }

  /** {@code pgd_free()}: {@code pgd} is the linear address that {@link #pgdAlloc} returned. */
  @Kernel(file = "arch/x86/mm/pgtable.c", symbol = "pgd_free")
  public void pgdFree(long pgd) {
    pgdDtor(pgd);
    pageAlloc.freePages(mm.model().virtToPage(pgd), 0);
  }

  /**
   * {@code pmd_set_huge()}: a leaf at {@code paddr}, in place of nothing or of another leaf.
   *
   * @return false when a table is in the way
   */
  @Kernel(
      file = "arch/x86/mm/pgtable.c",
      symbol = "pmd_set_huge",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The memory types of the machine are uniform: no MTRR can forbid a large page.")
  public boolean pmdSetHuge(Ptr<Pmd> pmd, long paddr, Prot prot) {
    long old = mm.pgtable().pmdpGet(pmd).val();
    if (X86AsmPgtable.pmdPresent(old) && !X86AsmPgtable.pmdLeaf(old)) {
      return false;
    }
    // Made like a pte, so that pfn_pte() checks the protection.
    Prot large = new Prot(X86AsmPgtableTypes.protval4k2Large(prot.val()) | PAGE_PSE);
    mm.pgtable().setPmd(pmd, new Pmd(format.mkPte(paddr, large)));
    return true;
  }
}
