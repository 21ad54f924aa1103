// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import org.vmemmap.machine.Machine;

/**
 * The kernel's view of page tables: typed entries, pointers to them, and the walk from
 * {@code init_mm}'s root. Levels that the format lacks are folded as in the kernel: the offset
 * function returns its argument.
 *
 * <p>Tables are reached through the linear window. Writers hold {@code init_mm.page_table_lock}
 * where the kernel does.
 */
@Kernel(file = "include/linux/pgtable.h", symbol = "pte_offset_kernel")
public final class Pgtable {
  public static final int PTE = 0;
  public static final int PMD = 1;
  public static final int PUD = 2;
  public static final int P4D = 3;
  public static final int PGD = 4;

  /** {@code arch_sync_kernel_mappings()}: copies new top-level entries to the other roots. */
  @FunctionalInterface
  public interface SyncHook {
    /** Called after a table was entered for {@code [start, end]}, the end included. */
    void archSyncKernelMappings(long start, long end);
  }

  private final Machine machine;
  private boolean levelSync = true;
  private final ArchPgtable arch;
  private final MemoryModel model;
  private final long initMmPgd;
  private SyncHook sync = (start, end) -> {};

  Pgtable(Machine machine, ArchPgtable arch, MemoryModel model, long initMmPgd) {
    this.machine = machine;
    this.arch = arch;
    this.model = model;
    this.initMmPgd = initMmPgd;
  }

  /** The architecture's codec. */
  public ArchPgtable arch() {
    return arch;
  }

  /** {@code init_mm.pgd}: linear address of the kernel's own top-level table. */
  public long initMmPgd() {
    return initMmPgd;
  }

  /** Installs the architecture's {@code arch_sync_kernel_mappings()}. */
  public void setSyncHook(SyncHook hook) {
    sync = hook;
  }

  /** PMD_SIZE in bytes. */
  public long pmdSize() {
    return 1L << arch.shift(PMD);
  }

  /** PMD_MASK. */
  public long pmdMask() {
    return -pmdSize();
  }

  /** PUD_SIZE in bytes. */
  public long pudSize() {
    return 1L << arch.shift(PUD);
  }

  /** {@code pmd_addr_end()}: the next pmd boundary, at most {@code end}. */
  @Kernel(file = "include/linux/pgtable.h", symbol = "pmd_addr_end")
  public long pmdAddrEnd(long addr, long end) {
    return addrEnd(addr, end, PMD);
  }

  /** {@code pXd_addr_end()} for the given level; {@code end} itself where the level is folded. */
  public long addrEnd(long addr, long end, int level) {
    if (folded(level) && level != PGD) {
      return end;
    }
    long size = 1L << arch.shift(realLevel(level));
    long boundary = (addr + size) & -size;
    return boundary - 1 < end - 1 && boundary != 0 ? boundary : end;
  }

  /** {@code pgd_offset_k()}: the entry of init_mm's root for {@code addr}. */
  @Kernel(file = "include/linux/pgtable.h", symbol = "pgd_offset_k")
  public Ptr<Pgd> pgdOffsetK(long addr) {
    return pgdOffset(initMmPgd, addr);
  }

  /** {@code pgd_offset_pgd()}: the entry for {@code addr} in the root at linear address pgd. */
  @Kernel(file = "include/linux/pgtable.h", symbol = "pgd_offset_pgd")
  public Ptr<Pgd> pgdOffset(long pgd, long addr) {
    return new Ptr<>(pgd + 8L * arch.index(addr, arch.levels() - 1));
  }

  /** {@code p4d_offset()}. */
  @Kernel(file = "include/asm-generic/pgtable-nop4d.h", symbol = "p4d_offset")
  public Ptr<P4d> p4dOffset(Ptr<Pgd> pgd, long addr) {
    return new Ptr<>(folded(PGD) ? pgd.va() : entryVa(pgd.va(), PGD, addr));
  }

  /** {@code pud_offset()}. */
  @Kernel(file = "include/linux/pgtable.h", symbol = "pud_offset")
  public Ptr<Pud> pudOffset(Ptr<P4d> p4d, long addr) {
    return new Ptr<>(folded(P4D) ? p4d.va() : entryVa(p4d.va(), P4D, addr));
  }

  /** {@code pmd_offset()}. */
  @Kernel(file = "include/linux/pgtable.h", symbol = "pmd_offset")
  public Ptr<Pmd> pmdOffset(Ptr<Pud> pud, long addr) {
    return new Ptr<>(folded(PUD) ? pud.va() : entryVa(pud.va(), PUD, addr));
  }

  /** {@code pte_offset_kernel()}. */
  @Kernel(file = "include/linux/pgtable.h", symbol = "pte_offset_kernel")
  public Ptr<Pte> pteOffsetKernel(Ptr<Pmd> pmd, long addr) {
    return new Ptr<>(entryVa(pmd.va(), PMD, addr));
  }

  /** The entry for {@code addr} in the pte table at linear address {@code table}. */
  public Ptr<Pte> pteOffsetTable(long table, long addr) {
    return new Ptr<>(table + 8L * arch.index(addr, PTE));
  }

  /** {@code pmd_off_k()}: the pmd of a kernel address; all tables above it exist. */
  @Kernel(file = "include/linux/pgtable.h", symbol = "pmd_off_k")
  public Ptr<Pmd> pmdOffK(long addr) {
    return pmdOffset(pudOffset(p4dOffset(pgdOffsetK(addr), addr), addr), addr);
  }

  /** {@code virt_to_kpte()}: the pte of a kernel address that is mapped by one. */
  @Kernel(file = "include/linux/pgtable.h", symbol = "virt_to_kpte")
  public Ptr<Pte> virtToKpte(long addr) {
    return pteOffsetKernel(pmdOffK(addr), addr);
  }

  /** {@code ptep_get()}. */
  @Kernel(file = "include/linux/pgtable.h", symbol = "ptep_get")
  public Pte ptepGet(Ptr<Pte> ptep) {
    return new Pte(read(ptep.va()));
  }

  /** {@code pmdp_get()}. */
  @Kernel(file = "include/linux/pgtable.h", symbol = "pmdp_get")
  public Pmd pmdpGet(Ptr<Pmd> pmdp) {
    return new Pmd(read(pmdp.va()));
  }

  /** {@code pudp_get()}. */
  @Kernel(file = "include/linux/pgtable.h", symbol = "pudp_get")
  public Pud pudpGet(Ptr<Pud> pudp) {
    return new Pud(read(pudp.va()));
  }

  /** {@code p4dp_get()}. */
  @Kernel(file = "include/linux/pgtable.h", symbol = "p4dp_get")
  public P4d p4dpGet(Ptr<P4d> p4dp) {
    return new P4d(read(p4dp.va()));
  }

  /** {@code pgdp_get()}. */
  @Kernel(file = "include/linux/pgtable.h", symbol = "pgdp_get")
  public Pgd pgdpGet(Ptr<Pgd> pgdp) {
    return new Pgd(read(pgdp.va()));
  }

  /** {@code pte_none()}. */
  public boolean pteNone(Pte pte) {
    return arch.none(pte.val(), PTE);
  }

  /** {@code pte_present()}. */
  public boolean ptePresent(Pte pte) {
    return arch.present(pte.val(), PTE);
  }

  /** {@code pmd_none()}. */
  public boolean pmdNone(Pmd pmd) {
    return arch.none(pmd.val(), PMD);
  }

  /** {@code pmd_leaf()}. */
  public boolean pmdLeaf(Pmd pmd) {
    return arch.present(pmd.val(), PMD) && arch.leaf(pmd.val(), PMD);
  }

  /** {@code pud_none()}; false where the level is folded. */
  public boolean pudNone(Pud pud) {
    return !folded(PUD) && arch.none(pud.val(), PUD);
  }

  /** {@code pud_leaf()}. */
  public boolean pudLeaf(Pud pud) {
    return !folded(PUD) && arch.present(pud.val(), PUD) && arch.leaf(pud.val(), PUD);
  }

  /** {@code p4d_none()}; false where the level is folded. */
  public boolean p4dNone(P4d p4d) {
    return !folded(P4D) && arch.none(p4d.val(), P4D);
  }

  /** {@code pgd_none()}; false where the level is folded. */
  public boolean pgdNone(Pgd pgd) {
    return !folded(PGD) && arch.none(pgd.val(), PGD);
  }

  /** {@code pte_pfn()}. */
  public long ptePfn(Pte pte) {
    return model.physPfn(arch.address(pte.val(), PTE));
  }

  /** {@code pte_page()}. */
  public Page ptePage(Pte pte) {
    return model.pfnToPage(ptePfn(pte));
  }

  /** {@code pmd_pfn()}: of a leaf, the first frame; of a table entry, the table's frame. */
  public long pmdPfn(Pmd pmd) {
    return model.physPfn(arch.address(pmd.val(), PMD));
  }

  /** {@code pmd_page()}. */
  public Page pmdPage(Pmd pmd) {
    return model.pfnToPage(pmdPfn(pmd));
  }

  /** {@code pfn_pte()}. */
  public Pte pfnPte(long pfn, Prot prot) {
    return new Pte(arch.mkPte(model.pfnPhys(pfn), prot));
  }

  /** {@code mk_pte()}. */
  public Pte mkPte(Page page, Prot prot) {
    return pfnPte(model.pageToPfn(page), prot);
  }

  /** PAGE_KERNEL. */
  public Prot pageKernel() {
    return arch.pageKernel();
  }

  /** PAGE_KERNEL_RO. */
  public Prot pageKernelRo() {
    return arch.pageKernelRo();
  }

  /** {@code set_pte_at()} in init_mm; {@code addr} is the address that the entry maps. */
  @Kernel(file = "include/linux/pgtable.h", symbol = "set_ptes")
  public void setPteAt(long addr, Ptr<Pte> ptep, Pte pte) {
    machine.yields().at("set_pte", addr);
    write(ptep.va(), pte.val(), PTE);
  }

  /** {@code pte_clear()}. */
  public void pteClear(long addr, Ptr<Pte> ptep) {
    machine.yields().at("pte_clear", addr);
    write(ptep.va(), 0, PTE);
  }

  /** {@code ptep_set_wrprotect()}: takes the write permission; the caller flushes. */
  @Kernel(file = "include/linux/pgtable.h", symbol = "ptep_set_wrprotect", fidelity = Kernel.Fidelity.CUSTOM, why = "x86 loops on try_cmpxchg because hardware may set dirty; nothing else writes entries here.")
  public void ptepSetWrprotect(long addr, Ptr<Pte> ptep) {
    machine.yields().at("set_wrprotect", addr);
    write(ptep.va(), arch.wrprotect(read(ptep.va())), PTE);
  }

  /** {@code set_pmd()}. */
  public void setPmd(Ptr<Pmd> pmdp, Pmd pmd) {
    machine.yields().at("set_pmd", pmdp.va());
    write(pmdp.va(), pmd.val(), PMD);
  }

  /** {@code set_p4d()}: the entry as it is, for copies between roots; no sync. */
  public void setP4d(Ptr<P4d> p4dp, P4d p4d) {
    machine.yields().at("set_p4d", p4dp.va());
    write(p4dp.va(), p4d.val(), P4D);
  }

  /** {@code set_pgd()}: the entry as it is, for copies between roots; no sync. */
  public void setPgd(Ptr<Pgd> pgdp, Pgd pgd) {
    machine.yields().at("set_pgd", pgdp.va());
    write(pgdp.va(), pgd.val(), PGD);
  }

  /** {@code pmd_clear()}. */
  public void pmdClear(Ptr<Pmd> pmdp) {
    setPmd(pmdp, new Pmd(0));
  }

  /** {@code pud_clear()}. */
  public void pudClear(Ptr<Pud> pudp) {
    machine.yields().at("set_pud", pudp.va());
    write(pudp.va(), 0, PUD);
  }

  /** {@code p4d_clear()}. */
  public void p4dClear(Ptr<P4d> p4dp) {
    machine.yields().at("set_p4d", p4dp.va());
    write(p4dp.va(), 0, P4D);
  }

  /** {@code pmd_populate_kernel()}: {@code table} is the linear address of a pte table. */
  public void pmdPopulateKernel(Ptr<Pmd> pmdp, long table) {
    setPmd(pmdp, new Pmd(arch.mkTable(model.pa(table), PMD)));
  }

  /** {@code pud_populate()}. */
  public void pudPopulate(Ptr<Pud> pudp, long table) {
    machine.yields().at("set_pud", pudp.va());
    write(pudp.va(), arch.mkTable(model.pa(table), PUD), PUD);
  }

  /** {@code p4d_populate_kernel()}: enters the table and syncs if the architecture asks for it. */
  @Kernel(file = "include/linux/pgalloc.h", symbol = "p4d_populate_kernel", patches = {5})
  public void p4dPopulateKernel(long addr, Ptr<P4d> p4dp, long table) {
    machine.yields().at("set_p4d", p4dp.va());
    write(p4dp.va(), arch.mkTable(model.pa(table), P4D), P4D);
    if (levelSync && (arch.pageTableSyncMask() & 1 << P4D) != 0) {
      sync.archSyncKernelMappings(addr, addr);
    }
  }

  /**
   * Switches off what {@code arch_sync_kernel_mappings()} does at each level, so that a machine can
   * show what the kernel was like before it had that; on at first.
   */
  public void setLevelSync(boolean on) {
    levelSync = on;
  }

  /** {@code pgd_populate_kernel()}: enters the table and syncs if the architecture asks for it. */
  @Kernel(file = "include/linux/pgalloc.h", symbol = "pgd_populate_kernel", patches = {5})
  public void pgdPopulateKernel(long addr, Ptr<Pgd> pgdp, long table) {
    machine.yields().at("set_pgd", pgdp.va());
    if (!folded(PGD)) {
      write(pgdp.va(), arch.mkTable(model.pa(table), PGD), PGD);
    }
    if (levelSync && (arch.pageTableSyncMask() & 1 << PGD) != 0) {
      sync.archSyncKernelMappings(addr, addr);
    }
  }

  /** {@code pgd_page_vaddr()} and its like: linear address of the table that an entry points to. */
  public long tableVa(long entry, int level) {
    return model.va(arch.address(entry, realLevel(level)));
  }

  /** {@code flush_tlb_kernel_range()}. */
  @Kernel(file = "arch/x86/mm/tlb.c", symbol = "flush_tlb_kernel_range", fidelity = Kernel.Fidelity.CUSTOM, why = "Declared by each architecture; the machine's caches are emptied at once.")
  public void flushTlbKernelRange(long start, long end) {
    machine.flushRange(start, end);
  }

  /** {@code flush_tlb_all()}. */
  @Kernel(file = "arch/x86/mm/tlb.c", symbol = "flush_tlb_all", fidelity = Kernel.Fidelity.CUSTOM, why = "Declared by each architecture; the machine's caches are emptied at once.")
  public void flushTlbAll() {
    machine.flushAll();
  }

  /** True where the kernel level does not exist in hardware and passes through. */
  public boolean folded(int level) {
    return level >= arch.levels();
  }

  private int realLevel(int level) {
    return Math.min(level, arch.levels() - 1);
  }

  private long entryVa(long va, int level, long addr) {
    return tableVa(read(va), level) + 8L * arch.index(addr, level - 1);
  }

  private long read(long va) {
    machine.yields().access(model.pa(va), Long.BYTES, false);
    return arch.fromMemory(machine.memory().getLongAcquire(model.pa(va)));
  }

  private void write(long va, long entry, int level) {
    machine.writeEntry(model.pa(va), entry, realLevel(level));
  }
}
