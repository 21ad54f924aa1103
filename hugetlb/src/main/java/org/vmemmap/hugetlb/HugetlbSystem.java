// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.sparse.MmInit;
import org.vmemmap.sparse.Sparse;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.Mm;

/**
 * All of HugeTLB of one kernel, put together. Whoever boots a machine
 *
 * <ol>
 *   <li>hands {@link #bootmem()} to mm_init and {@link #vmemmap()} to sparse-vmemmap, as hooks,
 *   <li>hands the command line to {@link #earlyParam},
 *   <li>lets mm_init run, and then {@link #initcalls}.
 * </ol>
 */
public final class HugetlbSystem {
  private final HugetlbCma cma;
  private final Hstates hstates;
  private final HugetlbFolios folios;
  private final HugetlbVmemmap vmemmap;
  private final HugetlbParams params;
  private final Hugetlb hugetlb;
  private final HugetlbResize resize;
  private final HugetlbReserve reserve;
  private final HugetlbDemote demote;
  private final HugetlbMigrate migrate;
  private final HugetlbBootmem bootmem;
  private final HugetlbSysfs sysfs;
  private final HugetlbTask task;

  /**
   * Puts HugeTLB on top of the memory manager's other parts.
   *
   * @param arch which sizes there are
   * @param cma where gigantic pages may come from besides; {@link HugetlbCma#NONE}
   */
  public HugetlbSystem(
      Mm mm,
      Memblock memblock,
      PageAlloc pageAlloc,
      SparseVmemmap sparseVmemmap,
      Sparse sparse,
      MmInit mmInit,
      HugetlbArch arch,
      HugetlbCma cma) {
    this.cma = cma;
    HugetlbInternal internal = new HugetlbInternal(mm, arch);
    this.folios = new HugetlbFolios(mm);
    this.hstates = new Hstates(mm, folios, arch.hugeMaxHstate());
    this.vmemmap = new HugetlbVmemmap(mm, pageAlloc, sparseVmemmap, sparse, hstates, folios);
    this.params = new HugetlbParams(mm, arch, cma, hstates, internal, vmemmap);
    this.hugetlb = new Hugetlb(mm, pageAlloc, arch, cma, hstates, folios, internal, vmemmap);
    this.resize = new HugetlbResize(mm, internal, hugetlb);
    this.reserve = new HugetlbReserve(mm, internal, folios, hugetlb);
    this.demote =
        new HugetlbDemote(
            mm, pageAlloc, arch, hstates, folios, internal, vmemmap, hugetlb);
    this.migrate = new HugetlbMigrate(mm, pageAlloc, hstates, folios, hugetlb);
    HugetlbRmap rmap = new HugetlbRmap(mm, folios);
    Migrate mover = new Migrate(mm, pageAlloc, arch, hstates, folios, hugetlb, migrate, rmap);
    pageAlloc.setHugetlbHooks(migrate, mover);
    this.bootmem =
        new HugetlbBootmem(
            mm, memblock, pageAlloc, mmInit, arch, cma, hstates, folios, internal, vmemmap, params,
            hugetlb);
    this.sysfs = new HugetlbSysfs(hstates, internal, vmemmap, resize, demote, hugetlb);
    this.task = new HugetlbTask(mm, hstates, folios, hugetlb, reserve, rmap);
  }

  /** Takes one parameter of the command line; see {@link HugetlbParams#earlyParam}. */
  public @Nullable Integer earlyParam(String name, @Nullable String value) {
    Integer rc = cma.earlyParam(name, value);
    return rc != null ? rc : params.earlyParam(name, value);
  }

  /** The initcalls in their order: the architecture's, hugetlb_init, hugetlb_vmemmap_init. */
  public void initcalls() {
    bootmem.giganticPagesInit();
    bootmem.hugetlbInit();
    vmemmap.hugetlbVmemmapInit();
  }

  /** All sizes. */
  public Hstates hstates() {
    return hstates;
  }

  /** Flags of HugeTLB folios. */
  public HugetlbFolios folios() {
    return folios;
  }

  /** The memmap's optimisation; the hook for sparse-vmemmap. */
  public HugetlbVmemmap vmemmap() {
    return vmemmap;
  }

  /** The pools. */
  public Hugetlb hugetlb() {
    return hugetlb;
  }

  /** What changes the size of a pool. */
  public HugetlbResize resize() {
    return resize;
  }

  /** What breaks pages of a pool into smaller ones. */
  public HugetlbDemote demote() {
    return demote;
  }

  /** What gets pages out of the way of others. */
  public HugetlbMigrate migrate() {
    return migrate;
  }

  /** Promises of pages. */
  public HugetlbReserve reserve() {
    return reserve;
  }

  /** Boot; the hooks for mm_init. */
  public HugetlbBootmem bootmem() {
    return bootmem;
  }

  /** The files in /proc and /sys. */
  public HugetlbSysfs sysfs() {
    return sysfs;
  }

  /** A process that uses hugepages. */
  public HugetlbTask task() {
    return task;
  }
}
